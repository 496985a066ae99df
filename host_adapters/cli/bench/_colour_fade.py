"""Faded pictures brought back, beside white balance and curves.

Real pictures (SAFELIGHT_TEST_DATA; else frames of the Plate), none of which the estimator of FadeRepair has seen, are
faded in ways that it was not fitted on: density lost by a power law (kinds 0, 2, 3) or by a saturating curve with leaks
of the other sign (1), where the fit has parabolas, some with half a sine; dyes of Rec.2020 primaries, taken apart in
Rec.709 (2), where the fit draws milder mixtures at random; stain beyond the fit's (3). In each the share of one dye is
drawn from 0.25 to 0.5 and of the others from 0.5 to 0.98: these lie mostly within the fit's, 0.3 to 1. Mean CIEDE2000
to the original, in Rec.709 light as displayed, D65.

Peers of two sorts. Blind ones see what FadeRepair sees; of several, the one is counted that is best for each picture,
which takes the original to know. Oracles are fitted to the original itself: no blind method can do what they do.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.config import config_for
from safelight.colour.difference import delta_e_2000, lab
from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.colour.fade_estimate import estimator
from safelight.nodes.colour.fade_repair import FadeRepair, FadeRepairParams
from safelight.nodes.colour.fade_statistics import quantiles, reduced
from safelight.nodes.colour.records import matrix, rec709

Floats = npt.NDArray[np.float64]
Fading = Callable[[Floats], Floats]
"""From densities (3, h, w) to densities."""

SIDE = 192
FADES = 8
_XYZ = np.array(
    [[0.4123908, 0.3575843, 0.1804808], [0.2126390, 0.7151687, 0.0721923], [0.0193308, 0.1191948, 0.9505322]]
)
_TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
_LEVELS = (0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99)


# --- pictures --------------------------------------------------------------------------------------------------------


def pictures(quick: bool) -> dict[str, Floats]:
    """Return display-referred linear Rec.709 light (3, h, w) by name, at most `SIDE` pixels long."""
    folder = os.environ.get("SAFELIGHT_TEST_DATA", "")
    made = dict(_real(Path(folder) / "images", quick)) if folder else {}
    if not made:
        from safelight.host_adapters.cli.bench._clips import plate

        frames = plate(3 if quick else 40, 216, 384)
        every = 1 if quick else 4
        made = {f"Plate {i}": reduced(_shown(frames[i].data), SIDE) for i in sorted(frames)[::every]}
    return dict(list(made.items())[:3]) if quick else made


def _real(root: Path, quick: bool) -> Iterator[tuple[str, Floats]]:
    from PIL import Image as Picture

    if (root / "images").is_dir():
        root = root / "images"
    stills = [*sorted((root / "stills").rglob("*.png")), *sorted((root / "stills").rglob("*.jp*g"))]
    frames = [next(iter(sorted(one.glob("*.png"))), None) for one in sorted((root / "seq").glob("*")) if one.is_dir()]
    for path in [*stills, *(one for one in frames if one is not None)][: 3 if quick else None]:
        code = np.asarray(Picture.open(path).convert("RGB"), np.float64).transpose(2, 0, 1) / 255
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
        yield str(path.relative_to(root)), reduced(light, SIDE)
    if quick:
        return
    import OpenImageIO

    for path in sorted((root / "exr").glob("*.exr")):
        pixels = np.asarray(OpenImageIO.ImageBuf(str(path)).get_pixels(OpenImageIO.FLOAT))[..., :3].transpose(2, 0, 1)
        yield str(path.relative_to(root)), reduced(_shown(pixels), SIDE)


def _shown(light: npt.ArrayLike) -> Floats:
    """Return scene-linear light as a print shows it: exposed to 0.18 at its mean stop, highlights by x / (1 + x)."""
    held = np.clip(np.nan_to_num(np.asarray(light, np.float64), posinf=0.0), 0, 1e4)
    held = held * 0.3 / np.exp(np.log(held.mean(0) + 1e-4).mean())
    return np.asarray(held / (1 + held))


# --- fades -----------------------------------------------------------------------------------------------------------


def fade(rng: np.random.Generator, kind: int, medium: str = "print") -> Fading:
    """Draw a fade that the estimator was not fitted on; kinds 0 to 3 in turn."""
    if medium == "separations":  # the fit's are of a standard deviation of 0.25 in ln, 0.2 in density
        gain, base = np.exp(rng.uniform(0.3, 0.7, 3) * rng.choice([-1, 1], 3)), rng.uniform(-0.35, 0.45, 3)
        return lambda d: _up(gain) * d + _up(base)
    share = rng.uniform(0.5, 0.98, 3)
    share[rng.integers(3)] = rng.uniform(0.25, 0.5)
    stain = rng.uniform(0, 0.1, 3) + np.array([0.0, 0.4, 1.0]) * rng.uniform(0, 0.2)
    if kind == 3:
        stain = stain + rng.uniform(0.1, 0.25)
    leaks = np.eye(3) + (1 - np.eye(3)) * rng.uniform(*((-0.06, 0.02) if kind == 1 else (0.0, 0.16)), (3, 3))
    power, drop = rng.uniform(0.8, 1.25, 3), rng.uniform(0.05, 0.25, 3)
    mixing = _TO_2020 if kind == 2 else np.eye(3)

    def faded(d: Floats) -> Floats:
        d = np.asarray(d)
        if kind == 2:
            d = -np.log10(np.maximum(np.tensordot(mixing, 10.0**-d, 1), 1e-6))
        if kind == 1:
            kept = _up(share) * d * (1 + _up(drop)) / (1 + _up(drop) * np.maximum(d, 0))
        else:
            kept = _up(share) * np.sign(d) * np.abs(d) ** _up(power)
        made = np.tensordot(leaks, kept, 1) + _up(stain)
        if kind == 2:
            made = -np.log10(np.maximum(np.tensordot(np.linalg.inv(mixing), 10.0**-made, 1), 1e-6))
        return np.asarray(made)

    return faded


def _up(values: Floats) -> Floats:
    return np.asarray(values)[:, None, None]


def density(light: Floats) -> Floats:
    """Return the density of a print's light; film is never denser than 3.5."""
    return np.asarray(-np.log10(np.clip(light, 10.0**-3.5, None)))


# --- ours ------------------------------------------------------------------------------------------------------------


class Ours:
    """FadeRepair of one frame, through the node itself."""

    def __init__(self) -> None:
        self.settings = Settings()
        config = config_for(self.settings)
        space = rec709(config)
        assert space is not None
        self.into = matrix(config, space, config.working)
        self.back = np.linalg.inv(self.into)
        self.spent = 0.0

    def __call__(
        self, light: Floats, reference: Floats | None = None, **params: Any
    ) -> tuple[Floats, Mapping[str, Any]]:
        """Return the repaired Rec.709 light, and the analysis."""
        node, device = FadeRepair(), Device("cpu", 1)
        how = FadeRepairParams(**params)
        region = Region.sized(light.shape[2], light.shape[1])
        shown = {
            port: Image(np.tensordot(self.into, one, 1).astype(np.float32), region)
            for port, one in (("input", light), ("reference", reference))
            if one is not None
        }
        clips = {port: Clip(1, 1, region, region) for port in shown}
        start = time.process_time()
        node.check(how, clips, self.settings)
        found = node.analyse(how, _Shown(shown, self.settings), clips, device)
        request = Request(1, region)
        inputs = Inputs(request, {"input": {1: shown["input"]}}, clips, self.settings, analysis=found)
        made = node.compute(how, request, inputs, device)
        self.spent += time.process_time() - start
        return np.tensordot(self.back, made.data.astype(np.float64), 1), found


class _Shown:
    def __init__(self, images: Mapping[str, Image], settings: Settings) -> None:
        self.images, self.settings = images, settings

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        return self.of("input")

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        yield 1, self.images[port]


# --- peers -----------------------------------------------------------------------------------------------------------


def gains(light: Floats) -> dict[str, Floats]:
    """Return what published white balances make of light, the mean of the three estimates kept as grey's."""
    x = light.reshape(3, -1)
    edges = np.concatenate([np.diff(light, axis=a).reshape(3, -1) for a in (1, 2)], 1)
    seen = {
        "grey world": x.mean(1),
        "shades of grey": np.mean(np.abs(x) ** 6, axis=1) ** (1 / 6),
        "white patch": np.quantile(x, 0.99, axis=1),
        "grey edge": np.mean(np.abs(edges) ** 6, axis=1) ** (1 / 6),
    }
    return {name: light * _up(one.mean() / np.maximum(one, 1e-9)) for name, one in seen.items()}


def curves(light: Floats) -> dict[str, Floats]:
    """Return what blind curves make of light, channel by channel: levels, levels and gamma, the usual histogram."""
    x = light.reshape(3, -1)
    low, high = (np.quantile(x, q, axis=1) for q in (0.005, 0.995))
    levels = np.clip((light - _up(low)) / _up(np.maximum(high - low, 1e-6)), 0, 1)
    middle = np.clip(np.median(levels.reshape(3, -1), axis=1), 0.01, 0.99)
    gamma = np.log(np.exp(np.log(middle).mean())) / np.log(middle)
    d = density(light)
    own, usual = quantiles(d.reshape(3, -1), _LEVELS), estimator("print").usual.reshape(3, -1)
    shaped = np.stack([_through(one, a, b) for one, a, b in zip(d, own, usual, strict=True)])
    return {"levels": levels, "levels and gamma": levels ** _up(gamma), "usual histogram": 10.0**-shaped}


def _through(values: Floats, a: Floats, b: Floats) -> Floats:
    """Return values by the straight lines that take a to b, the ends going on."""
    a = a + 1e-6 * np.arange(a.size)
    made = np.interp(values, a, b)
    return np.asarray(made + np.minimum(values - a[0], 0) + np.maximum(values - a[-1], 0))


def oracle_gain(light: Floats, truth: Floats) -> Floats:
    """Return light by the gains that come nearest to the original, least squares."""
    return np.asarray(light * _up((light * truth).sum((1, 2)) / (light**2).sum((1, 2))))


def oracle_curves(light: Floats, truth: Floats) -> Floats:
    """Return light by the curve of 32 pieces that comes nearest to the original in each channel."""
    made = np.empty_like(light)
    for one, true, out in zip(light, truth, made, strict=True):
        ends = np.unique(np.quantile(one, np.linspace(0, 1, 33)))
        piece = np.clip(np.searchsorted(ends, one.ravel(), side="right") - 1, 0, max(0, len(ends) - 2))
        count = np.maximum(np.bincount(piece), 1)
        x, y = np.bincount(piece, one.ravel()) / count, np.bincount(piece, true.ravel()) / count
        out[...] = np.interp(one, x, y)
    return made


# --- figures ---------------------------------------------------------------------------------------------------------


def difference(light: Floats, truth: Floats) -> float:
    """Return the mean CIEDE2000, over every third pixel each way."""
    a, b = (np.clip(one[:, ::3, ::3], 0, 4) for one in (light, truth))
    return float(np.mean(delta_e_2000(lab(np.tensordot(_XYZ, a, 1)), lab(np.tensordot(_XYZ, b, 1)))))


def rows(quick: bool) -> list[Row]:
    """Measure."""
    start = time.process_time()
    shown, ours = pictures(quick), Ours()
    got: dict[str, list[float]] = defaultdict(list)
    left: list[str] = []
    for number, (name, truth) in enumerate(shown.items()):
        still, found = ours(truth)
        got["unfaded"].append(difference(still, truth))
        if not found["left_alone"]:
            left.append(name)
        for index in range(2 if quick else FADES):
            rng = np.random.default_rng([2026, number, index])
            light = 10.0 ** -fade(rng, index % 4)(density(truth))
            _one(got, ours, light, truth, index)
        for medium in ("separations", "negative") if number % 2 == 0 else ():
            _other(got, ours, medium, truth, number)
    return _told(got, shown, left, ours.spent, time.process_time() - start)


def _one(got: dict[str, list[float]], ours: Ours, light: Floats, truth: Floats, index: int) -> None:
    got["nothing"].append(difference(light, truth))
    for name, every in (("gains", gains(light)), ("curves", curves(light))):
        made = {one: difference(picture, truth) for one, picture in every.items()}
        for one, value in made.items():
            got[f"{name}: {one}"].append(value)
        got[name].append(min(made.values()))
    got["oracle gains"].append(difference(oracle_gain(light, truth), truth))
    got["oracle curves"].append(difference(oracle_curves(light, truth), truth))
    made_by_us, found = ours(light)
    got["ours"].append(difference(made_by_us, truth))
    got["confidence"].append(found["confidence"])
    got["missed"].append(float(bool(found["left_alone"])))
    if index == 0:
        got["ours of these"].append(got["ours"][-1])
        got["curves of these"].append(got["oracle curves"][-1])
        y, x = _greyest(truth)
        area = [x, y, x + 6, y + 6]
        got["grey patch"].append(difference(ours(light, estimate="neutral", patch=area)[0], truth))
        got["reference"].append(difference(ours(light, truth, estimate="reference")[0], truth))
        got["patches"].append(difference(ours(light, **_known(truth, ours))[0], truth))
        flipped = np.ascontiguousarray(truth[:, :, ::-1])
        got["other picture"].append(difference(ours(light, flipped, estimate="reference")[0], truth))


def _other(got: dict[str, list[float]], ours: Ours, medium: str, truth: Floats, number: int) -> None:
    rng = np.random.default_rng([2026, number, 77])
    if medium == "separations":
        light = 10.0 ** -fade(rng, 0, medium)(density(truth))
        given = light
    else:
        film = 0.6 * np.log10(np.maximum(truth, 2e-4) / 0.002)
        given = 0.002 * 10.0 ** (fade(rng, 0)(film) / 0.6)
    light = given
    got[f"{medium}: nothing"].append(difference(light, truth))
    got[f"{medium}: gains"].append(min(difference(one, truth) for one in gains(light).values()))
    primaries = rec709(config_for(ours.settings)) or "auto"
    got[f"{medium}: ours"].append(difference(ours(light, medium=medium, primaries=primaries)[0], truth))


def _blocks(truth: Floats) -> tuple[Floats, Floats]:
    h, w = truth.shape[1] // 6 * 6, truth.shape[2] // 6 * 6
    cells = density(truth)[:, :h, :w].reshape(3, h // 6, 6, w // 6, 6)
    return cells.mean((2, 4)), cells.std((2, 4)).max(0)


def _greyest(truth: Floats) -> tuple[int, int]:
    """Return the corner of the greyest even area of 6 x 6 pixels that is neither black nor white."""
    mean, rough = _blocks(truth)
    cost = np.ptp(mean, axis=0) + 0.3 * rough + 10 * ((mean.min(0) < 0.15) | (mean.max(0) > 1.6))
    y, x = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return int(y) * 6, int(x) * 6


def _known(truth: Floats, ours: Ours) -> dict[str, Any]:
    """Return four areas of known colour, from light to dark."""
    mean, rough = _blocks(truth)
    lightness = mean.mean(0)
    areas, colours = [], []
    for q in (0.1, 0.35, 0.65, 0.9):
        cost = np.abs(lightness - np.quantile(lightness, q)) + rough
        y, x = (6 * int(i) for i in np.unravel_index(int(np.argmin(cost)), cost.shape))
        areas += [x, y, x + 6, y + 6]
        middle = np.median((np.tensordot(ours.into, truth[:, y : y + 6, x : x + 6], 1)).reshape(3, -1), axis=1)
        colours += [float(max(one, 1e-6)) for one in middle]
    return {"estimate": "patch", "patch": areas, "patch_colour": colours}


def _told(
    got: Mapping[str, Sequence[float]], shown: Mapping[str, Floats], left: Sequence[str], spent: float, whole: float
) -> list[Row]:
    mean = {name: float(np.mean(values)) for name, values in got.items()}
    per = len(got["ours"]) // len(shown)
    blind = "blind; the best for each picture, chosen by the original"

    def each(kind: str) -> str:
        return ", ".join(f"{n.split(': ')[1]} {mean[n]:.2f}" for n in mean if n.startswith(f"{kind}: "))

    found = [
        Row("fade: nothing done", mean["nothing"], "ΔE2000", note=f"{len(shown)} pictures × {per} fades, {SIDE} px"),
        Row("fade: gains", mean["gains"], "ΔE2000", note=f"{blind}; {each('gains')}"),
        Row("fade: curves", mean["curves"], "ΔE2000", note=f"{blind}; {each('curves')}"),
        Row("fade: FadeRepair", mean["ours"], "ΔE2000", note=f"auto; left alone {mean['missed']:.1%}"),
        Row("fade: less than gains", 1 - mean["ours"] / mean["gains"], "", "≥ 0.45"),
        Row("fade: less than curves", 1 - mean["ours"] / mean["curves"], "", "≥ 0.30"),
        Row("fade: unfaded pictures", mean["unfaded"], "ΔE2000", "< 1", f"touched: {', '.join(left) or 'none'}"),
        Row("fade: oracle gains", mean["oracle gains"], "ΔE2000", note="least squares to the original: not blind"),
        Row("fade: oracle curves", mean["oracle curves"], "ΔE2000", note="fitted to the original: not blind"),
        Row("fade: less than oracle gains", 1 - mean["ours"] / mean["oracle gains"], ""),
        Row("fade: correlation of confidence and gain", _agreement(got), "", note="Spearman"),
    ]
    for name, note in (
        ("grey patch", "the greyest 6 x 6 pixels"),
        ("patches", "four of known colour"),
        ("other picture", "the original mirrored: the same colours in other places, a best case"),
        ("reference", "the original, pixel on pixel"),
    ):
        both = f"auto of the same fades {mean['ours of these']:.2f}, oracle curves {mean['curves of these']:.2f}"
        found.append(Row(f"fade: FadeRepair, {name}", mean[name], "ΔE2000", note=f"{note}; {both}"))
    for medium in ("separations", "negative"):
        peers = (
            f"nothing {mean[f'{medium}: nothing']:.2f}, best gains {mean[f'{medium}: gains']:.2f}; every second picture"
        )
        found.append(Row(f"fade: FadeRepair, {medium}", mean[f"{medium}: ours"], "ΔE2000", note=peers))
    count = len(got["ours"]) + len(shown)
    found.append(Row("fade: a frame", 1e3 * spent / max(1, count), "ms", note="analysis and repair, processor time"))
    found.append(Row("fade: this bench", whole, "s", "< 90", "processor time"))
    return found


def _agreement(got: Mapping[str, Sequence[float]]) -> float:
    """Return the rank correlation of confidence with how much less the difference has become."""
    from scipy.stats import spearmanr

    better = 1 - np.asarray(got["ours"]) / np.maximum(got["nothing"], 1e-9)
    if np.ptp(got["confidence"]) == 0:
        return 0.0
    return float(spearmanr(got["confidence"], better).statistic)
