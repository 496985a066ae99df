"""Deblur beside Wiener and Richardson-Lucy: known blurs in scene light, under grain, told or estimated.

Every fourth of Kodak's pictures (frames of the Plate without them), luma of light, blurred whole in the plane of the
pixels, 32 pixels cut off every side so that what lies beyond is blurred in as a lens does it; then grain, white, even
in stops above a toe of 0.01. PSNR of the sRGB-coded values, 0 to 1.

Peers, all told the blur and the noise's true strength: Wiener's filter for a flat spectrum of the picture's variance
(as in textbooks and in scikit-image's `wiener`), and Richardson-Lucy with as many of 5, 10, 20, 40 steps as serve the
true picture best. Both see edges mirrored as Deblur does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, rfft2
from scipy.ndimage import convolve, gaussian_filter, maximum_filter, minimum_filter

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench._resolution_classical import pictures
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.damage.donors import to_light, to_stops
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.resolution import blur
from safelight.nodes.resolution.blind import Found, Spectrum
from safelight.nodes.resolution.deblur import Deblur, DeblurParams
from safelight.nodes.resolution.learned.coding import decode, encode

Floats = npt.NDArray[np.float64]
GRAINS = {"fine grain": 0.03, "coarse grain": 0.12}
"""Standard deviations in stops."""
CUT = 32
STEPS = (5, 10, 20, 40)
PITCH = 6.0
ONE = Device("cpu", 1)


@dataclass(frozen=True)
class Blur:
    """One blur: how Deblur is told of it, and what it does to a plane of light."""

    told: Mapping[str, Any]
    apply: Callable[[Floats], Floats]

    def transfer(self, shape: tuple[int, int]) -> Floats:
        """Return its transfer function, for peers: that of what becomes of a point."""
        point = np.zeros((2 * CUT + 1,) * 2)
        point[CUT, CUT] = 1
        wide = np.zeros(shape)
        wide[: 2 * CUT + 1, : 2 * CUT + 1] = self.apply(point)
        return np.asarray(rfft2(np.roll(wide, (-CUT, -CUT), (0, 1))).real)


def spot(inside: Callable[[Floats, Floats], npt.NDArray[np.bool_]], reach: int, fine: int = 16) -> Floats:
    """Return a kernel of (2 reach + 1)² pixels from a shape drawn `fine` times finer; its sum is 1."""
    at = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    drawn = inside(at[:, None], at[None]).astype(np.float64)
    kernel = drawn.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).sum((1, 3))
    return np.asarray(kernel / kernel.sum())


def _film(plane: Floats, transfer: Callable[[tuple[int, int]], Floats]) -> Floats:
    h, w = plane.shape
    wide = np.pad(plane, CUT, mode="symmetric")
    return np.asarray(irfft2(rfft2(wide) * transfer(wide.shape), s=wide.shape)[CUT : CUT + h, CUT : CUT + w])


def blurs() -> dict[str, Blur]:
    """Return the blurs, by name. All but the stock's are laid on pixel by pixel, not by what undoes them."""
    stock, turn = load_stock("500T"), np.radians(20.0)
    disc = spot(lambda y, x: np.hypot(y, x) <= 2.5, 4)
    line = spot(
        lambda y, x: (
            (np.abs(x * np.cos(turn) + y * np.sin(turn)) <= 3.5) & (np.abs(y * np.cos(turn) - x * np.sin(turn)) <= 0.25)
        ),
        5,
    )
    return {
        "Gaussian 1.5": Blur(
            {"kernel": "gaussian", "size": 1.5},
            lambda a: gaussian_filter(a, 1.5, mode="reflect", truncate=6),
        ),
        "disc 2.5": Blur(
            {"kernel": "disc", "size": 2.5},
            lambda a: convolve(a, disc, mode="reflect"),
        ),
        "motion 7": Blur(
            {"kernel": "motion", "size": 7.0, "angle": 20.0},
            lambda a: convolve(a, line, mode="reflect"),
        ),
        "500T at 6 µm": Blur(
            {"kernel": "stock", "pitch": PITCH},
            lambda a: _film(a, lambda shape: blur.film(shape, stock, 0, PITCH)),
        ),
    }


# --- the ways --------------------------------------------------------------------------------------------------------


def deblurred(plane: Floats, told: Mapping[str, Any]) -> Floats:
    """Return what the node makes of a plane of light; it measures the noise itself, and what else it is not told."""
    # A stock's transfer is given for its layers: red's is the one that the bench lays on.
    channels = ("R", "G", "B") if told.get("kernel") == "stock" else ("Y",)
    data = np.repeat(plane[None], len(channels), 0).astype(np.float32)
    image = Image(data, Region.sized(plane.shape[1], plane.shape[0]), channels)
    node, params = Deblur(), DeblurParams(**told)
    clips = {"input": Clip(1, 1, image.region, image.region, channels=channels)}
    found = node.analyse(params, Still(image), clips, ONE)
    request = Request(1, image.region)
    made = node.compute(params, request, Inputs(request, {"input": {1: image}}, clips, analysis=found), ONE)
    return np.asarray(made.data[0], np.float64)


def wiener(plane: Floats, transfer: Callable[[tuple[int, int]], Floats], noise: float) -> Floats:
    """Return the textbook's inverse: a flat spectrum of the picture's variance against white noise."""
    h, w = plane.shape
    wide = np.pad(plane, CUT, mode="symmetric")
    known = transfer(wide.shape)
    inverse = known / (known**2 + noise**2 / max(float(plane.var()), 1e-12))
    inverse[0, 0] = 1
    return np.asarray(irfft2(rfft2(wide) * inverse, s=wide.shape)[CUT : CUT + h, CUT : CUT + w])


def richardson_lucy(plane: Floats, transfer: Callable[[tuple[int, int]], Floats]) -> Iterator[Floats]:
    """Yield the estimate after each of STEPS (Richardson 1972, Lucy 1974); all blurs here are symmetric.

    It knows no kernels with parts below 0, which a stock's transfer over 1 has: those count as 0.
    """
    h, w = plane.shape
    wide = np.maximum(np.pad(plane, CUT, mode="symmetric"), 1e-5)
    kernel = np.maximum(irfft2(transfer(wide.shape), s=wide.shape), 0)
    known = rfft2(kernel / kernel.sum()).real

    def through(a: Floats) -> Floats:
        return np.asarray(irfft2(rfft2(a) * known, s=wide.shape))

    guess = wide.copy()
    for step in range(1, max(STEPS) + 1):
        guess = np.maximum(guess * through(wide / np.maximum(through(guess), 1e-5)), 1e-7)
        if step in STEPS:
            yield guess[CUT : CUT + h, CUT : CUT + w]


# --- figures ---------------------------------------------------------------------------------------------------------


def _psnr(made: Floats, truth: Floats) -> float:
    error = encode(np.clip(made, 0, 1)) - encode(np.clip(truth, 0, 1))
    return float(-10 * np.log10(max(float(np.mean(error**2)), 1e-12)))


def rows(quick: bool) -> Iterator[Row]:
    """Measure."""
    chosen = pictures(quick)[: 1 if quick else None : 1 if quick else 4]
    truths = [decode(picture / 255.0) @ np.array([0.2126, 0.7152, 0.0722]) for picture in chosen]
    if quick:
        truths = [truth[:160, :160] for truth in truths]
    known = blurs()
    for name in list(known)[:1] if quick else known:
        for level, noise in list(GRAINS.items())[:1] if quick else GRAINS.items():
            yield from _compared(truths, name, known[name], level, noise)
    yield from _ringing(known)


def _compared(truths: Sequence[Floats], name: str, one: Blur, level: str, noise: float) -> Iterator[Row]:
    before: list[float] = []
    scores: dict[str, list[float]] = {}
    lucy: list[list[float]] = []
    found: list[Found | None] = []
    worst = 0.0
    inner = (slice(CUT, -CUT),) * 2
    for number, truth in enumerate(truths):
        random = np.random.default_rng(number)
        soft = one.apply(truth)
        given = to_light(to_stops(soft.astype(np.float32)) + noise * random.standard_normal(truth.shape)).astype(
            np.float64
        )[inner]
        wanted, sigma = truth[inner], float((given - soft[inner]).std())
        before.append(_psnr(given, wanted))
        made = deblurred(given, one.told)
        worst = max(worst, _beyond(made, given, one))
        ways = {
            "Deblur": made,
            "Deblur, grain = 0": deblurred(given, {**one.told, "grain": 0.0}),
            "Deblur, estimated": deblurred(given, {"kernel": "auto"}),
            "Wiener": wiener(given, one.transfer, sigma),
        }
        for way, out in ways.items():
            scores.setdefault(way, []).append(_psnr(out, wanted))
        seen = Spectrum()
        seen.add(given)
        found.append(seen.blur())
        lucy.append([_psnr(out, wanted) for out in richardson_lucy(given, one.transfer)])
    best = int(np.mean(lucy, 0).argmax())
    scores["Richardson-Lucy"] = [every[best] for every in lucy]
    was = float(np.mean(before))
    for way, values in scores.items():
        gain = np.subtract(values, before)
        note = f"{len(truths)} pictures, blurred {was:.2f} dB, {noise:g} stops; least {gain.min():+.2f}"
        note += f"; {STEPS[best]} steps" if way == "Richardson-Lucy" else ""
        yield Row(f"{name}, {level}: {way}, gain", float(gain.mean()), "dB", note=note)
    yield Row(f"{name}, {level}: Deblur, beyond the range", 100 * worst, "%", "≤ 20", "its `ringing` of that range")
    if one.told["kernel"] != "stock":
        right = [told for told in found if told and told.kernel == one.told["kernel"]]
        sizes = [abs(told.size - one.told["size"]) for told in right]
        note = f"off its size by {np.mean(sizes):.2f} pixels, at most {max(sizes):.2f}" if sizes else ""
        yield Row(f"{name}, {level}: kind of blur found", 100 * len(right) / len(truths), "%", note=note)


def _beyond(made: Floats, given: Floats, one: Blur) -> float:
    """Return how far the node's pixels leave the range of those that the blur reaches, over that range: the worst."""
    params = DeblurParams(**one.told)
    _, reach = Deblur().transfer(params, 0, Clip(1, 1, Region.sized(1, 1), Region.sized(1, 1)))
    size = 2 * reach + 1
    plane = given.astype(np.float32).astype(np.float64)
    low, high = (a(plane, size, mode="nearest") for a in (minimum_filter, maximum_filter))
    over = np.maximum(made - high, low - made) / np.maximum(high - low, 1e-6)
    return max(0.0, float(over.max()))


def _ringing(known: Mapping[str, Blur]) -> Iterator[Row]:
    """Overshoot at slanted steps from 0.2 to 0.7, hardly any noise: what an inverse does at its worst."""
    y, x = np.mgrid[:192, :192].astype(np.float64)
    noise = 0.0005
    for name, one in known.items():
        over: dict[str, list[float]] = {}
        for degrees in (0, 7, 22.5, 45):
            turn = np.radians(degrees)
            far = (x - 96) * np.cos(turn) + (y - 96) * np.sin(turn)
            truth = 0.2 + 0.5 * np.clip(far + 0.5, 0, 1)
            given = one.apply(truth) + noise * np.random.default_rng(1).standard_normal(truth.shape)
            ways = {
                "Deblur": deblurred(given, one.told),
                "Wiener": wiener(given, one.transfer, noise),
                "Richardson-Lucy, 40 steps": list(richardson_lucy(given, one.transfer))[-1],
            }
            for way, out in ways.items():
                part = out[48:-48, 48:-48]
                over.setdefault(way, []).append(max(float(part.max()) - 0.7, 0.2 - float(part.min())) / 0.5)
        for way, values in over.items():
            yield Row(
                f"{name}: {way}, overshoot at steps", 100 * float(np.mean(values)), "%",
                "≤ 10" if way == "Deblur" else "", "of the step, mean of 4 directions",
            )  # fmt: skip


class Still:
    """A shot of one frame, as an analysis is handed it."""

    settings = Settings()

    def __init__(self, image: Image) -> None:
        self._image = image

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        yield 1, self._image

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        return iter(self)
