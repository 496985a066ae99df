"""How the numbers in `fades/` were made: `python -m safelight.nodes.colour.fade_training FOLDER [MEDIUM …]`.

FOLDER holds pictures that have not faded (display-referred sRGB, or scene-linear EXR). Crops of them, with exposure,
contrast, saturation and balance drawn at random, are faded by `drawn`, a quarter of them not at all. Small nets read
`fade_statistics` of the faded crop and say the parameters of its fade; their loss is the colour difference that is left
once the crop has been repaired by these. A second set of nets reads the crop repaired by the first and corrects.

The pictures are dealt into as many parts as there are nets, and each net never sees its part: so every picture has one
net that tells what an unseen picture is like. By these the second set is fitted, and all figures of doubt.

Needs torch. The pictures behind the numbers shipped are listed in `fades/README.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from safelight.nodes.colour.fade_estimate import COUNT, HIGHEST, LOWEST, NUMBERS, XYZ, Estimator, Stage
from safelight.nodes.colour.fade_statistics import LEVELS, Floats, reduced, statistics
from safelight.nodes.colour.fading import BENDS, DENSEST, EASE, MEDIA, Fade

SAMPLES = {"print": 22000, "negative": 4000, "separations": 4000}
SIZES = {"print": (8, 72), "negative": (4, 56), "separations": (4, 56)}
"""Nets in a set, and how wide their layers are."""
STAGES = 2
EPOCHS, BATCH = 32, 160
UNFADED = 0.25
SHAPE = (40, 60)
PIXELS = 24
"""Pixels of a sample that the loss looks at."""
LEAST = 0.3
"""Least share of a dye that is drawn."""
LUMA = np.array([0.2126, 0.7152, 0.0722])

Fading = Callable[[Floats], Floats]
_shown: list[tuple[Floats, bool]] = []


def _show(pictures: Sequence[tuple[Floats, bool]]) -> None:
    _shown[:] = pictures


def drawn(rng: np.random.Generator, medium: str) -> tuple[Fading, Floats | None]:
    """Draw a fade; and its parameters, where the model holds them exactly.

    Half are of the model (parabolas). The others bend by half a sine over the film's range, or happen in primaries of
    their own, so that the nets learn to answer with what the model can do.
    """
    if medium == "separations":
        none = np.zeros(3)
        vector = np.concatenate([rng.normal(0, 0.35, 3), none, rng.normal(0, 0.25, 3), np.zeros(6)])
        return Fade.of(vector).faded, vector
    share = rng.uniform(LEAST, 1.0, 3)
    if rng.random() < 0.5:
        share[rng.integers(3)] = rng.uniform(0.85, 1.0)
    bend = np.minimum(rng.uniform(-0.08, 0.08, 3) + rng.uniform(-0.04, 0.1), (1 / share - 1) / 2.2)
    stain = rng.uniform(0, 0.2) + rng.uniform(-0.04, 0.04, 3) + np.array([0.0, 0.3, 1.0]) * rng.uniform(0, 0.2)
    leak = rng.uniform(-0.04, 0.15, 6) * rng.uniform(0, 1)
    fade = Fade(tuple(share), tuple(bend), tuple(stain), tuple(leak))
    kind = rng.random()
    if kind < 0.5:
        return fade.faded, fade.vector()
    if kind < 0.75:
        wave = rng.uniform(-0.15, 0.15, 3)[:, None, None]
        return lambda d: fade.faded(d + wave * np.sin(np.pi * np.clip(d, 0, DENSEST) / DENSEST)), None
    mixing = np.eye(3) + (1 - np.eye(3)) * rng.uniform(0, 0.2, (3, 3)) * rng.uniform(0, 1)
    mixing /= mixing.sum(1, keepdims=True)
    zero, decade = MEDIA[medium].zero, MEDIA[medium].per_decade

    def mixed(d: Floats, matrix: Floats) -> Floats:
        light = np.tensordot(matrix, zero * 10.0 ** (d / decade), 1)
        return MEDIA[medium].density(np.maximum(light, zero * 10.0 ** (3.5 / decade) if decade < 0 else zero * 0.05))

    return lambda d: mixed(fade.faded(mixed(d, mixing)), np.asarray(np.linalg.inv(mixing), np.float64)), None


def varied(picture: Floats, rng: np.random.Generator, medium: str, scene: bool) -> Floats:
    """Return a crop of light (3, H, W), `SHAPE` small, as another photographer might have taken it."""
    _, height, width = picture.shape
    share = rng.uniform(0.3, 0.6) if scene else rng.uniform(0.5, 1.0)
    h, w = int(height * share), int(width * share)
    y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    part = np.maximum(picture[:, y : y + h, x : x + w], 0)
    part = part.transpose(0, 2, 1) if h > w else part
    ends = [np.linspace(0, part.shape[i + 1], n + 1).astype(int)[:-1] for i, n in enumerate(SHAPE)]
    light = np.add.reduceat(np.add.reduceat(part, ends[0], axis=1), ends[1], axis=2)
    light = light / np.add.reduceat(np.add.reduceat(np.ones_like(part), ends[0], axis=1), ends[1], axis=2)
    if scene:
        light = light * 0.18 / np.exp(np.log(light.mean(0) + 1e-4).mean()) * 2 ** rng.uniform(-1, 1)
        if medium != "negative" or rng.random() < 0.4:  # a print's tone curve: Narkowicz' fit of the ACES one
            light = light * 0.6
            light = np.clip(light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14), 0, 1)
    luma = np.tensordot(LUMA, light, 1)
    light = np.maximum(luma + rng.uniform(0.75, 1.2) * (light - luma), 0) ** rng.uniform(0.9, 1.12)
    light = light * np.exp(rng.normal(0, 0.02, 3))[:, None, None] * 2 ** rng.uniform(-0.35, 0.15)
    if medium != "negative":
        light = np.minimum(light, 1)
    return np.asarray(light + (rng.uniform(0, 0.004) if rng.random() < 0.5 else 0.0))


@dataclass
class Samples:
    """Faded crops."""

    picture: Any
    """(n,) whose crop."""
    density: Any
    """(n, 3, h, w) faded."""
    here: Any
    clean: Any
    """(n, 3, PIXELS) densities of some pixels, faded and as they were."""
    vector: Any
    """(n, 15) parameters; NaN where the model does not hold the fade."""
    figures: Any

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """Return all parts as one."""
        names = ("picture", "density", "here", "clean", "vector", "figures")
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))


def samples(count: int, medium: str, seed: int) -> Samples:
    """Make faded crops of the pictures this process was shown."""
    pictures = _shown
    rng, how = np.random.default_rng(seed), MEDIA[medium]
    made = []
    for _ in range(count):
        index = int(rng.integers(len(pictures)))
        clean = np.clip(how.density(varied(pictures[index][0], rng, medium, pictures[index][1])), -0.5, 3.5)
        fade, vector = (lambda d: d, np.zeros(COUNT)) if rng.random() < UNFADED else drawn(rng, medium)
        density = fade(clean)
        some = rng.integers(clean[0].size, size=PIXELS)
        known = np.full(COUNT, np.nan) if vector is None else vector
        made.append(
            (
                index,
                density.astype(np.float16),
                density.reshape(3, -1)[:, some].astype(np.float32),
                clean.reshape(3, -1)[:, some].astype(np.float32),
                known,
                statistics(density).astype(np.float32),
            )
        )
    return Samples(*(np.array(one) for one in zip(*made, strict=True)))


def again(density: Any, vectors: Floats) -> Floats:
    """Return the figures of crops repaired by these parameters."""
    pairs = zip(density, vectors, strict=True)
    return np.array([statistics(Fade.of(v).repaired(d.astype(np.float64))) for d, v in pairs], np.float32)


# --- the loss --------------------------------------------------------------------------------------------------------


def repaired(vector: Any, density: Any) -> Any:
    """Return densities (n, 3, p) as they were, by parameters (n, 15): `Fade.repaired` in torch."""
    import torch

    share, bend = vector[:, :3].clamp(-3, 2).exp()[:, :, None], vector[:, 3:6].clamp(*BENDS)[:, :, None]
    d = density - vector[:, 6:9, None]
    leaks = torch.eye(3).repeat(len(vector), 1, 1)
    off = torch.tensor([[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]])
    leaks[:, off[:, 0], off[:, 1]] = vector[:, 9:]
    d = d + (torch.linalg.inv(leaks) - torch.eye(3)) @ d.clamp(-EASE, DENSEST)
    low, high = share * (1 - bend), share * (1 - bend + 2 * bend * DENSEST)
    top, one = share * DENSEST * (1 + bend * (DENSEST - 1)), torch.ones_like(low)

    def piece(y: Any, start: float, width: float, first: Any, last: Any) -> Any:
        inside = (first**2 + 2 * (last - first) / width * y).clamp_min(1e-6)
        return start + 2 * y / (first + inside.sqrt())

    before, after = EASE / 2 * (1 + low), EASE / 2 * (1 + high)
    zero = torch.zeros_like(d)
    first = piece((d + before).clamp_min(0).minimum(before), -EASE, EASE, one, low)
    middle = piece(torch.minimum(d.clamp_min(0), top), 0.0, DENSEST, low, high)
    last = piece((d - top).clamp_min(0).minimum(after), DENSEST, EASE, high, one)
    end = (d + before).minimum(zero) + (d - top - after).clamp_min(0)
    return torch.where(d < 0, first, torch.where(d > top, last, middle)) + end


def difference(ours: Any, truth: Any, medium: str) -> Any:
    """Return the mean colour difference (n,) of densities (n, 3, p): CIEDE2000 without its turn of blues."""
    import torch

    def seen(d: Any) -> tuple[Any, Any, Any]:
        light = MEDIA[medium].zero * 10 ** (d.clamp(-1.5, 8) / MEDIA[medium].per_decade)
        xyz = torch.tensor(XYZ / XYZ.sum(1, keepdims=True), dtype=torch.float32) @ light.clamp(0, 4)
        f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
        return 116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])

    (light, a, b), (other_light, c, e) = seen(ours), seen(truth)
    grey, other = (a**2 + b**2 + 1e-4).sqrt(), (c**2 + e**2 + 1e-4).sqrt()
    chroma, middle = (grey + other) / 2, ((light + other_light) / 2 - 50) ** 2
    hue = ((a - c) ** 2 + (b - e) ** 2 - (grey - other) ** 2).clamp_min(0)
    total = ((light - other_light) / (1 + 0.015 * middle / (20 + middle).sqrt())) ** 2
    total = total + ((grey - other) / (1 + 0.045 * chroma)) ** 2 + hue / (1 + 0.015 * chroma) ** 2
    return (total + 1e-3).sqrt().mean(1)


# --- the nets --------------------------------------------------------------------------------------------------------


def fitted(made: Samples, figures: Any, start: Floats, part: Any, medium: str, unit: Floats, epochs: int) -> Any:
    """Fit a set of nets; return the stage, parameters (n, 15) and the two other answers (n, 2) of unseen pictures."""
    import torch

    nets, width = SIZES[medium]
    torch.manual_seed(1)
    mean, scale = figures.mean(0), figures.std(0) + 1e-2
    rows = np.concatenate([np.clip((figures - mean) / scale, -4, 4), start / np.where(unit > 0, unit, 1)], 1)
    x, here, clean = (torch.tensor(np.asarray(one, np.float32)) for one in (rows, made.here, made.clean))
    begin, units = (torch.tensor(np.asarray(one, np.float32)) for one in (start, unit))
    faded = torch.tensor(np.asarray(~(made.vector == 0).all(1), np.float32))
    parts = torch.tensor(part)
    sizes = (x.shape[1], width, width, COUNT + 2)
    weights = [
        (torch.randn(nets, a, b) * (0.3 if b == sizes[-1] else 1.4) / a**0.5).requires_grad_()
        for a, b in pairwise(sizes)
    ]
    biases = [torch.zeros(nets, 1, b).requires_grad_() for b in sizes[1:]]
    steps = max(1, len(x) // BATCH)
    optimiser = torch.optim.AdamW([*weights, *biases], lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * steps)
    low, high = (torch.tensor(one, dtype=torch.float32) for one in (LOWEST, HIGHEST))

    def answers(rows: Any, drop: float = 0.0) -> Any:
        y = rows.expand(nets, *rows.shape)
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            y = torch.baddbmm(b, torch.nn.functional.dropout(y, drop), w)
            y = torch.relu(y) if i < 2 else y
        return y

    def found(y: Any, which: Any) -> Any:
        moved = begin[which] + y[..., :COUNT] * units
        return torch.maximum(torch.minimum(moved, high), low)

    for epoch in range(epochs):
        for which in torch.randperm(len(x))[: steps * BATCH].reshape(-1, BATCH):
            y = answers(x[which] + 0.1 * torch.randn(len(which), x.shape[1]), 0.1)
            v = found(y, which)
            many = (nets, 1, 1, 1)
            left = difference(
                repaired(v.reshape(-1, COUNT), here[which].repeat(many).reshape(-1, 3, PIXELS)),
                clean[which].repeat(many).reshape(-1, 3, PIXELS),
                medium,
            ).reshape(nets, -1)
            seen = (parts[which][None] != torch.arange(nets)[:, None]).float()
            unseen = left.detach().gather(0, parts[which][None])[0]
            loss = left + 0.3 * ((v - begin[which]) / units.clamp_min(1e-3)).square().mean(-1) * (units > 0).any()
            loss = loss + (y[..., COUNT] - (unseen + 0.3).log()).square()
            loss = loss + torch.nn.functional.binary_cross_entropy_with_logits(
                y[..., COUNT + 1], faded[which].expand(nets, -1), reduction="none"
            )
            optimiser.zero_grad()
            ((loss * seen).sum() / seen.sum()).backward()
            torch.nn.utils.clip_grad_norm_([*weights, *biases], 5.0)
            optimiser.step()
            schedule.step()
        if epoch % 8 == 7:
            print(f"  epoch {epoch + 1}: seen {float((left.detach() * seen).sum() / seen.sum()):.2f}", flush=True)
    with torch.no_grad():
        y = answers(x).gather(0, parts[None, :, None].expand(1, -1, COUNT + 2))[0]
        v = found(y, slice(None))
        left = difference(repaired(v, here), clean, medium).numpy()
        nothing = difference(here, clean, medium).numpy()
    lost = faded.numpy() > 0
    print(
        f"  unseen: faded {nothing[lost].mean():.2f} to {left[lost].mean():.2f}, unfaded {left[~lost].mean():.2f}",
        flush=True,
    )
    stage = Stage(mean, scale, tuple(w.detach().numpy() for w in weights), tuple(b.detach().numpy() for b in biases))
    return stage, v.numpy().astype(np.float64), y[:, COUNT:].numpy(), left


def estimator(pictures: Sequence[tuple[Floats, bool]], medium: str, count: int, epochs: int = EPOCHS) -> Any:
    """Fit all stages of a medium; return the estimator and a table (n, 4) of what unseen pictures were told.

    The table's columns: whether faded, the logit of it, ln of the difference foretold, the difference left.
    """
    with ProcessPoolExecutor(2, initializer=_show, initargs=(pictures,)) as pool:
        jobs = [pool.submit(samples, count // 8, medium, seed) for seed in range(8)]
        made = Samples.joined([job.result() for job in jobs])
        print(f"{medium}: {len(made.figures)} crops of {len(pictures)} pictures", flush=True)
        part = np.random.default_rng(5).permutation(len(pictures))[made.picture] % SIZES[medium][0]
        known = np.isfinite(made.vector).all(1)
        spread = made.vector[known].std(0)
        unit = np.where(spread > 1e-6, np.maximum(spread, 0.02), 0.0)
        start, figures, stages = np.zeros((len(part), COUNT)), made.figures, []
        for _ in range(STAGES):
            stage, start, told, left = fitted(made, figures, start, part, medium, unit, epochs)
            stages.append(stage)
            cuts = np.array_split(np.arange(len(part)), 8)
            if len(stages) < STAGES:
                redone = [pool.submit(again, made.density[cut], start[cut]) for cut in cuts]
                figures = np.concatenate([job.result() for job in redone])
    error = (start - made.vector)[known]
    faded = ~(made.vector == 0).all(1)
    usual = made.figures[~faded, : 3 * len(LEVELS)].mean(0)
    table = np.stack([faded, told[:, 1], told[:, 0], left], 1)
    return Estimator(tuple(stages), unit, error.T @ error / len(error), usual), table


def save(known: Estimator, path: Path) -> None:
    """Write an estimator: weights as eight bits with a scale for each column, the rest as float32 or float16."""
    data: dict[str, Any] = {"unit": known.unit, "covariance": known.covariance, "usual": known.usual}
    data = {name: np.asarray(value, np.float32) for name, value in data.items()}
    for i, stage in enumerate(known.stages):
        data |= {f"mean{i}": np.float32(stage.mean), f"scale{i}": np.float32(stage.scale)}
        for j, (weight, bias) in enumerate(zip(stage.weights, stage.biases, strict=True)):
            scale = np.float32(np.maximum(np.abs(weight).max(1, keepdims=True), 1e-9) / 127)
            data |= {f"weight{i}{j}": np.int8(np.round(weight / scale)), f"column{i}{j}": scale}
            data[f"bias{i}{j}"] = np.float16(bias)
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **data)


def read_pictures(folder: Path, side: int = 240) -> list[tuple[Floats, bool]]:
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
    """Fit media and write their numbers."""
    import torch
    from scipy.stats import spearmanr

    torch.set_num_threads(1)
    pictures = read_pictures(Path(sys.argv[1]))
    for medium in sys.argv[2:] or MEDIA:
        known, table = estimator(pictures, medium, SAMPLES[medium])
        save(known, NUMBERS / f"{medium}.npz")
        faded, logit, foretold, left = table.T
        agree = spearmanr(foretold[faded > 0], left[faded > 0]).statistic
        print(f"{medium}: foretold and true difference agree by {agree:.2f} (Spearman, unseen)")
        for level in (0.3, 0.5, 0.7, 0.9):
            touched = 1 / (1 + np.exp(-logit)) > level
            print(
                f"  level {level}: touched {touched[faded > 0].mean():.1%} faded, {touched[faded == 0].mean():.1%} not"
            )


if __name__ == "__main__":
    main()
