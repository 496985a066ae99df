"""Restore beside what else is done to grainy, compressed pictures that are too small: denoised and enlarged, or cleaned
by one net and enlarged by another that have as many weights together.

Kodak's 24 pictures in colour (`images/stills/kodak` of SAFELIGHT_TEST_DATA), else frames of the built-in Plate; no net
was trained on either. Worn as in training, with other seeds, and in two ways that no net was shown: other blur, another
reduction, the grain of a stock as Regrain lays it, a video codec.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve1d, gaussian_filter

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench._resolution_learned import pictures
from safelight.host_adapters.cli.bench._shot import degrain, regrained
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.grain.degrain import DegrainParams
from safelight.nodes.resolution.learned.coding import decode, encode
from safelight.nodes.resolution.learned.enlarge import enlarge
from safelight.nodes.resolution.learned.models import RESTORE, SameSize, find
from safelight.nodes.resolution.learned.sampling import enlarged, reduced
from safelight.nodes.resolution.learned.training import sequence
from safelight.nodes.resolution.learned.training.degrade import film
from safelight.nodes.resolution.learned.training.pictures import Picture, luma_of, psnr, whole

Planes = npt.NDArray[np.float32]
Wear = Callable[[str, Planes, int], Picture]

OVER_DENOISED = 2.0
"""dB that Restore is to be above Lanczos after denoising."""
OVER_SEQUENCE = 0.5
"""dB that it is to be above two nets of as many weights."""
SEEDS = 9000
"""Seeds from here on wore nothing in training."""
PITCH = 12.0
"""µm on the film from pixel to pixel of a 2K scan."""
BORDER = 4
SOFT = (0.4, 0.6, 0.8)
MEANS = (3, 6, 10)
"""What a Gaussian's sigma and the strength of non-local means are chosen from, picture by picture, by the truth: no
user can choose as well."""
ONE = Device("cpu", 1)


@dataclass(frozen=True)
class Judged:
    """A picture, and the figures of each way to make it of its worn one."""

    luma: dict[str, float]
    colour: dict[str, float]


def rows(quick: bool) -> list[Row]:
    """Measure."""
    label, shown = pictures(quick, colour=True)
    found: list[Row] = []
    for name, (wear, note) in wears().items():
        found += _compared(name, wear, f"{note}; {label}", shown)
    return [*found, *_speed(quick)]


# --- wear ------------------------------------------------------------------------------------------------------------


def wears() -> dict[str, tuple[Wear, str]]:
    """Return the ways to wear a picture, and what each does."""
    h264, mpeg2 = ({"crf": "20", "preset": "fast"}, {"qmin": "4", "qmax": "4"})
    codec = "" if importlib.util.find_spec("av") else " (left out: PyAV is not installed)"
    return {
        "as trained": (
            lambda name, coded, seed: film(name, coded, 2, SEEDS + seed),
            "blur, bicubic reduction, grain, JPEG, as in training with other seeds",
        ),
        "held back 1": (
            partial(_held_back, stock="5219", blur=_defocused, codec="libx264", options=h264),
            f"never trained on: defocus, mean of 2x2, 500T grain of Regrain at 2K, H.264 at CRF 20{codec}",
        ),
        "held back 2": (
            partial(_held_back, stock="5207", blur=_moved, codec="mpeg2video", options=mpeg2),
            f"never trained on: blur of motion, mean of 2x2, 250D grain of Regrain at 2K, MPEG-2 at quantiser 4{codec}",
        ),
    }


def _held_back(
    name: str, coded: Planes, seed: int, *, stock: str, blur: Callable[[Planes], Planes], codec: str, options: Any
) -> Picture:
    full = whole(coded, 4)
    light = blur(decode(full))
    light = light.reshape(3, light.shape[1] // 2, 2, light.shape[2] // 2, 2).mean((2, 4))
    grained = regrained(light[None].astype(np.float32), stock, PITCH, seed + 1)[0].data
    codes = np.rint(np.clip(encode(grained), 0, 1) * 255).astype(np.uint8)
    if importlib.util.find_spec("av"):
        codes = filmed(codes, codec, options)
    return Picture(name, full, codes.astype(np.float32) / np.float32(255))


def _defocused(light: Planes) -> Planes:
    """Return light through a lens out of focus: a disc of 1.3 pixels of the full picture."""
    y, x = np.mgrid[-2:3, -2:3]
    disc = np.clip(1.3 + 0.5 - np.hypot(x, y), 0, 1)
    disc /= disc.sum()
    padded = np.pad(light, ((0, 0), (2, 2), (2, 2)), mode="symmetric")
    h, w = light.shape[1:]
    return np.asarray(sum(disc[a, b] * padded[:, a : a + h, b : b + w] for a in range(5) for b in range(5)), np.float32)


def _moved(light: Planes) -> Planes:
    """Return light of a camera that moves 2 pixels of the full picture along a row while the shutter is open."""
    return np.asarray(convolve1d(light, [0.25, 0.5, 0.25], axis=2, mode="reflect"), np.float32)


def filmed(codes: npt.NDArray[np.uint8], codec: str, options: dict[str, str]) -> npt.NDArray[np.uint8]:
    """Return R, G, B (3, H, W), of even sides, coded as a key frame, 4:2:0, and decoded."""
    av: Any = importlib.import_module("av")
    height, width = codes.shape[1:]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.moveaxis(codes, 0, -1)), "rgb24")
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = width, height, "yuv420p", 24
    encoder.options = options
    decoder = av.CodecContext.create("h264" if codec == "libx264" else codec, "r")
    packets = [*encoder.encode(frame.reformat(format="yuv420p")), *encoder.encode(None)]
    found = [one for packet in (*packets, None) for one in decoder.decode(packet)]
    return np.moveaxis(found[0].to_ndarray(format="rgb24"), -1, 0)


# --- ways ------------------------------------------------------------------------------------------------------------


def restored(low: Planes, model: str = RESTORE) -> Planes:
    """Return coded planes through a shipped net."""
    return np.asarray(encode(enlarge(decode(low), 2, model=model, device=ONE)))


def degrained(low: Planes) -> Planes:
    """Return coded planes through Degrain, which measures the grain and has this one frame to work on."""
    image = Image(decode(low), Region.sized(low.shape[2], low.shape[1]))
    return np.asarray(encode(degrain({0: image}, DegrainParams(radius=0)).made[0].data))


def _softened(low: Planes) -> Iterator[Planes]:
    yield low
    for sigma in SOFT:
        yield gaussian_filter(low, sigma, axes=(1, 2)).astype(np.float32)


def _averaged(low: Planes) -> Iterator[Planes]:
    cv2: Any = importlib.import_module("cv2")
    codes = np.ascontiguousarray(np.moveaxis(np.rint(255 * np.clip(low, 0, 1)).astype(np.uint8), 0, -1))
    for strength in MEANS:
        made = cv2.fastNlMeansDenoisingColored(codes, None, strength, strength, 5, 15)
        yield np.moveaxis(made.astype(np.float32) / np.float32(255), -1, 0)


def _best(low: Planes, full: Planes, found: Iterator[Planes]) -> Planes:
    return max((enlarged(one, 2) for one in found), key=lambda made: psnr(luma_of(made), luma_of(full), BORDER))


def made_of(worn: Picture) -> dict[str, Planes]:
    """Return what each way makes of a worn picture."""
    low, full = worn.low, worn.full
    taken = degrained(low)
    made = {
        "Lanczos": enlarged(low, 2),
        "best Gaussian, Lanczos": _best(low, full, _softened(low)),
        "Degrain, Lanczos": enlarged(taken, 2),
        "Degrain, Upscale's fast": restored(taken, "fast"),
    }
    if importlib.util.find_spec("cv2") is not None:
        made["best non-local means, Lanczos"] = _best(low, full, _averaged(low))
    made["sequence"] = encode(sequence.restored(decode(low), ONE))
    return made | {"Restore": restored(low)}


def _judged(name: str, coded: Planes, wear: Wear, seed: int) -> Judged:
    worn = wear(name, coded, seed)
    made = made_of(worn)
    return Judged(
        {way: psnr(luma_of(one), luma_of(worn.full), BORDER) for way, one in made.items()},
        {way: psnr(one, worn.full, BORDER) for way, one in made.items()},
    )


def _compared(name: str, wear: Wear, note: str, shown: Sequence[tuple[str, Planes]]) -> Iterator[Row]:
    judged = [_judged(label, coded, wear, k) for k, (label, coded) in enumerate(shown)]
    mean = {way: float(np.mean([one.luma[way] for one in judged])) for way in judged[0].luma}
    ours = mean["Restore"]
    for way, figure in mean.items():
        colour = float(np.mean([one.colour[way] for one in judged]))
        yield Row(f"{name}: {way}", figure, "dB", note=f"luma; R, G, B {colour:.2f}" + f"; {note}" * (way == "Lanczos"))
    yield Row(f"{name}: Restore over Lanczos", ours - mean["Lanczos"], "dB")
    denoised = max(figure for way, figure in mean.items() if way.endswith(", Lanczos"))
    yield Row(f"{name}: Restore over Lanczos after denoising", ours - denoised, "dB", f"≥ {OVER_DENOISED:g}")
    over = [one.luma["Restore"] - one.luma["sequence"] for one in judged]
    better = f"of {len(over)} pictures {sum(gain > 0 for gain in over)} are better"
    yield Row(f"{name}: Restore over the sequence", ours - mean["sequence"], "dB", f"≥ {OVER_SEQUENCE:g}", better)


# --- speed, exactness ------------------------------------------------------------------------------------------------


def _speed(quick: bool) -> Iterator[Row]:
    side = 96 if quick else 384
    light = decode(np.random.default_rng(0).uniform(0.2, 0.8, (3, side, side)).astype(np.float32))
    net = find(RESTORE, 2)
    for label, scale, model in (("×2", 2, net), ("×1", 1, SameSize(net))):
        enlarge(light[:, :8, :8], scale, model=model, device=ONE)
        start = time.process_time()
        enlarge(light, scale, model=model, device=ONE)
        spent = (time.process_time() - start) / (side * side / 1e6)
        yield Row(f"Restore {label}: an input megapixel", spent, "s", note=f"processor time, one thread, {side}x{side}")
    whole = enlarge(light, 2, model=net, device=ONE)
    near = enlarge(light, 2, model=net, precision="float16", device=ONE)
    apart = 255 * float(np.abs(encode(near) - encode(whole)).max())
    yield Row("Restore: float16 off float32", apart, "8-bit codes", "≤ 0.1", "largest")
    again = np.asarray(reduced(encode(whole), 2))
    yield Row(
        "Restore: reduced again, off the input", 255 * float(np.abs(again - encode(light)).mean()), "8-bit codes",
        note="mean, on white noise: nothing holds it to its data",
    )  # fmt: skip
