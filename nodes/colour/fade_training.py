"""How the numbers in `fades/` were made: `python -m safelight.nodes.colour.fade_training FOLDER`.

FOLDER holds pictures that have not faded (display-referred sRGB, or scene-linear EXR). Crops of them, with exposure,
contrast, saturation and balance drawn at random, are faded by `Fade`s drawn from `drawn`, a fifth of them not at all.
Each map is the least-squares solution, in the colour difference that an error of the parameters makes in that very
picture, weighted so that bad pictures count by their difference and not by its square; ridge; then cut to a low rank.
The covariance is of pictures that were left out, the gate a ridge on faded or not.

The numbers shipped: 28 photographs of the CLIC 2025 set (Unsplash licence) and 5 panoramas of Poly Haven (CC0).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from safelight.nodes.colour.fade_estimate import (
    COUNT,
    HIGHEST,
    LOWEST,
    NUMBERS,
    Estimator,
    Stage,
    colours,
    levelled,
    standardised,
)
from safelight.nodes.colour.fade_statistics import Floats, reduced, statistics
from safelight.nodes.colour.fading import DENSEST, EASE, MEDIA, Curve, Fade, Medium

SAMPLES = {"print": 2000, "negative": 1200, "separations": 900}
STAGES = 3
RANK = 6
RIDGE = 6.0
LEAST = 0.3
"""Least share of a dye that is drawn."""
QUANTILES = 27
"""Figures that are quantiles of the records: the first."""
LUMA = np.array([0.2126, 0.7152, 0.0722])


def drawn(rng: np.random.Generator, medium: str) -> Fade:
    """Draw a fade of the ranges that the maps are fitted on."""
    if medium == "separations":
        none = np.zeros(3)
        return Fade.of(np.concatenate([rng.normal(0, 0.3, 3), none, rng.normal(0, 0.25, 3), np.zeros(6)]))
    share = rng.uniform(LEAST, 1.0, 3)
    if rng.random() < 0.5:
        share[rng.integers(3)] = rng.uniform(0.85, 1.0)
    bend = np.minimum(rng.uniform(-0.08, 0.08, 3) + rng.uniform(-0.04, 0.1), (1 / share - 1) / 2.2)
    stain = rng.uniform(0, 0.2) + rng.uniform(-0.04, 0.04, 3) + np.array([0.0, 0.3, 1.0]) * rng.uniform(0, 0.2)
    leak = rng.uniform(-0.03, 0.15, 6) * rng.uniform(0, 1)
    return Fade(tuple(share), tuple(bend), tuple(stain), tuple(leak))


def varied(picture: Floats, rng: np.random.Generator, medium: str, scene: bool) -> Floats:
    """Return a crop of light (3, H, W) as another photographer might have taken it."""
    _, height, width = picture.shape
    share = rng.uniform(0.55, 1.0)
    h, w = int(height * share), int(width * share)
    y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    light = np.maximum(reduced(picture[:, y : y + h, x : x + w]), 0)
    if scene:
        light = light * 0.18 / np.exp(np.log(light.mean(0) + 1e-4).mean()) * 2 ** rng.uniform(-1, 1)
        if medium != "negative" or rng.random() < 0.4:  # a print's tone curve: Narkowicz' fit of the ACES one
            light = light * 0.6
            light = np.clip(light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14), 0, 1)
    luma = np.tensordot(LUMA, light, 1)
    light = np.maximum(luma + rng.uniform(0.7, 1.25) * (light - luma), 0) ** rng.uniform(0.87, 1.15)
    light = light * np.exp(rng.normal(0, 0.03, 3))[:, None, None] * 2 ** rng.uniform(-0.4, 0.15)
    if medium != "negative":
        light = np.minimum(light, 1)
    return np.asarray(light + (rng.uniform(0, 0.004) if rng.random() < 0.5 else 0.0))


@dataclass
class Sample:
    """One faded picture whose fade is known."""

    picture: int
    density: Floats
    vector: Floats
    metric: Floats
    """(15, 15): e @ metric @ e is the mean squared colour difference that an error e of the parameters makes."""


def samples(
    pictures: Sequence[tuple[Floats, bool]], count: int, medium: str, seed: int, unfaded: float = 0.2
) -> Iterator[Sample]:
    """Make faded pictures."""
    rng, how = np.random.default_rng(seed), MEDIA[medium]
    for _ in range(count):
        index = int(rng.integers(len(pictures)))
        clean = how.density(varied(pictures[index][0], rng, medium, pictures[index][1]))
        fade = Fade() if rng.random() < unfaded else drawn(rng, medium)
        density = fade.faded(clean)
        yield Sample(index, density.astype(np.float32), fade.vector(), metric(fade.vector(), density, how, rng))


def metric(vector: Floats, density: Floats, medium: Medium, rng: np.random.Generator) -> Floats:
    """Return the metric of `Sample`: CIE Lab, chroma counting as in CIE94."""
    d = density.reshape(3, -1)
    d = d[:, rng.choice(d.shape[1], min(120, d.shape[1]), replace=False)]
    step = 1e-3
    tried = np.concatenate([vector[None], vector + step * np.eye(COUNT)])
    fades = [Fade.of(one) for one in tried]
    curve = Curve(np.array([f.share for f in fades])[:, :, None], np.array([f.bend for f in fades])[:, :, None])
    stained = d - np.array([f.stain for f in fades])[:, :, None]
    leaks = np.linalg.inv(np.array([f.leaks for f in fades]))
    clean = curve.inverse(stained + (leaks - np.eye(3)) @ np.clip(stained, -EASE, DENSEST))
    here, *moved = colours(clean.transpose(1, 0, 2), medium).transpose(1, 0, 2)
    chroma = np.hypot(here[1], here[2])
    weight = np.stack([np.ones_like(chroma), 1 / (1 + 0.045 * chroma), 1 / (1 + 0.03 * chroma)])
    slopes = np.stack([((there - here) * weight / step).ravel() for there in moved])
    return np.asarray(slopes @ slopes.T / d.shape[1])


def solved(rows: Floats, wanted: Floats, metrics: Floats, weight: Floats, unit: Floats, ridge: float) -> Floats:
    """Return the map (parameters, figures) of least squares in each sample's own metric."""
    count, width = rows.shape
    many = wanted.shape[1]
    weighted = metrics * weight[:, None, None]
    right = np.einsum("npq,nq,nf->pf", weighted, wanted, rows, optimize=True) / count
    penalty = np.repeat(ridge / unit[:, None] ** 2, width, 1)
    penalty[:, -1] *= 1e-3

    def times(flat: Floats) -> Floats:
        one = flat.reshape(many, width)
        felt = np.einsum("npq,nq->np", weighted, rows @ one.T, optimize=True)
        return np.asarray((felt.T @ rows / count + penalty * one).ravel())

    diagonal = np.diag(weighted.mean(0))[:, None] + penalty
    size = (many * width, many * width)
    found, _ = cg(
        LinearOperator(size, matvec=times),
        right.ravel(),
        maxiter=150,
        rtol=1e-4,
        M=LinearOperator(size, matvec=lambda flat: (flat.reshape(many, width) / diagonal).ravel()),
    )
    return np.asarray(found.reshape(many, width))


def low_rank(whole: Floats, rows: Floats, metrics: Floats, rank: int) -> tuple[Floats, Floats]:
    """Return left and right whose product gives what `whole` gives of these rows, as nearly as the rank allows."""
    root = np.linalg.cholesky(metrics.mean(0))
    basis = np.linalg.svd((rows @ whole.T) @ root, full_matrices=False)[2][:rank]
    return np.linalg.solve(root.T, basis.T), basis @ root.T @ whole


def fitted(made: Sequence[Sample], medium: str, stages: int = STAGES, ridge: float = RIDGE) -> Estimator:
    """Fit the maps and the gate."""
    truth = np.array([one.vector for one in made])
    spread = truth.std(0)
    unit = np.where(spread > 1e-6, np.maximum(spread, 0.02), 0.0)
    live = unit > 0
    own = np.array([one.metric for one in made])[:, live][:, :, live]
    held = own + np.diag(0.3 / unit[live] ** 2)  # what no picture shows still has a best guess
    usual = np.mean([statistics(one.density)[:QUANTILES] for one in made if not np.any(one.vector)], axis=0)
    start = np.array([levelled(np.asarray(one.density, np.float64), usual) for one in made])
    found, weight = start, np.ones(len(made))
    done: list[Stage] = []
    first: Floats | None = None
    for _ in range(stages):
        figures = np.array([statistics(Fade.of(v).repaired(one.density)) for v, one in zip(found, made, strict=True)])
        stage = Stage(figures.mean(0), figures.std(0) + 1e-3, np.zeros(0), np.zeros(0))
        rows = _rows(standardised(figures, stage), found, unit)
        first = rows if first is None else first
        used = rows[:, np.concatenate([np.ones(figures.shape[1], bool), live, [True]])]
        wanted = (truth - found)[:, live]
        for _ in range(2):
            whole = solved(used, wanted, held, weight, unit[live], ridge)
            error = used @ whole.T - wanted
            weight = 1 / np.sqrt(np.einsum("np,npq,nq->n", error, own, error) + 4.0)
        left, right = low_rank(whole, used, held, min(RANK, int(live.sum())))
        full_left, full_right = np.zeros((COUNT, left.shape[1])), np.zeros((left.shape[1], rows.shape[1]))
        full_left[live] = left
        full_right[:, np.concatenate([np.ones(figures.shape[1], bool), live, [True]])] = right
        done.append(Stage(stage.mean, stage.scale, full_left, full_right))
        found = np.clip(found + rows @ full_right.T @ full_left.T, LOWEST, HIGHEST)
    assert first is not None
    error = found - truth
    gate = logistic(np.concatenate([first, found / np.where(live, unit, 1)], 1), np.any(truth != 0, axis=1))
    return Estimator(tuple(done), unit, error.T @ error / len(error), gate, usual)


def _rows(figures: Floats, found: Floats, unit: Floats) -> Floats:
    return np.concatenate([figures, found / np.where(unit > 0, unit, 1), np.ones((len(figures), 1))], 1)


def logistic(rows: Floats, faded: Any, ridge: float = 20.0) -> Floats:
    """Return the weights of a logistic regression, both sides counting alike (Newton's steps)."""
    y = np.asarray(faded, float)
    balance = np.where(y > 0, 0.5 / max(y.mean(), 1e-6), 0.5 / max(1 - y.mean(), 1e-6))
    weights = np.zeros(rows.shape[1])
    penalty = np.full(rows.shape[1], ridge)
    penalty[-1 - COUNT] = 1e-3  # the row's constant
    for _ in range(12):
        p = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (balance * (p - y)) + penalty * weights
        bent = (rows * (balance * p * (1 - p))[:, None]).T @ rows + np.diag(penalty)
        weights = weights - np.linalg.solve(bent, slope)
    return weights


def unseen(made: Sequence[Sample], medium: str) -> Floats:
    """Return the covariance of the errors on a quarter of the pictures, told by maps fitted on the others."""
    apart = np.random.default_rng(5).permutation(1 + max(one.picture for one in made)) % 4 == 0
    known = fitted([one for one in made if not apart[one.picture]], medium)
    error = np.array([known.vector(one.density) - one.vector for one in made if apart[one.picture]])
    return np.asarray(error.T @ error / len(error))


def save(known: Estimator, path: Path) -> None:
    """Write an estimator (float32)."""
    data: dict[str, Any] = {
        "unit": known.unit,
        "covariance": known.covariance,
        "gate": known.gate,
        "usual": known.usual,
    }
    for i, stage in enumerate(known.stages):
        data |= {f"mean{i}": stage.mean, f"scale{i}": stage.scale, f"left{i}": stage.left, f"right{i}": stage.right}
    path.parent.mkdir(exist_ok=True)
    few: dict[str, Any] = {name: np.asarray(value, np.float32) for name, value in data.items()}
    np.savez_compressed(path, **few)


def read_pictures(folder: Path, side: int = 144) -> list[tuple[Floats, bool]]:
    """Read the pictures of a folder as linear Rec.709 light, small; and whether each is scene-referred."""
    from PIL import Image

    made = []
    for path in sorted(folder.iterdir()):
        if path.suffix in (".webp", ".png", ".jpg"):
            code = np.asarray(Image.open(path).convert("RGB"), np.float64).transpose(2, 0, 1) / 255
            light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
            made.append((reduced(light, side), False))
        elif path.suffix == ".exr":
            import OpenImageIO

            pixels = np.asarray(OpenImageIO.ImageBuf(str(path)).get_pixels(OpenImageIO.FLOAT))[..., :3]
            light = np.clip(np.nan_to_num(pixels.transpose(2, 0, 1), posinf=500.0), 0, 500).astype(np.float64)
            made.append((reduced(light, side), True))
    return made


def main() -> None:
    """Fit all media and write their numbers."""
    pictures = read_pictures(Path(sys.argv[1]))
    for medium in sys.argv[2:] or MEDIA:
        made = list(samples(pictures, SAMPLES[medium], medium, 1))
        known = fitted(made, medium)
        save(replace(known, covariance=unseen(made, medium)), NUMBERS / f"{medium}.npz")
        print(medium, "done")


if __name__ == "__main__":
    main()
