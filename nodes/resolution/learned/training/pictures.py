"""What nets are trained on and judged by: luma or R, G, B of pictures, as nets see them, and their reductions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned.binning import binned
from safelight.nodes.resolution.learned.coding import LUMA, encode
from safelight.nodes.resolution.learned.sampling import reduced

Plane = npt.NDArray[np.float32]

DISPLAY = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff")
LINEAR = (".exr", ".hdr")
LEAST = 96
"""Pixels a picture must have on both sides."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture's luma, or its R, G, B, and what a net is given of it."""

    name: str
    full: Plane
    """(H, W) or (3, H, W), coded, sides multiples of the scale."""
    low: Plane
    """The same at H / scale, W / scale."""
    phases: tuple[Plane, ...] = ()
    """Reductions that begin at each of the first scale × scale pixels, row by row; the first is `low`. May be none."""
    drawn: bool = False
    """A drawing, whose even areas are even."""


def found(folder: Path) -> list[Path]:
    """Return the pictures of a folder, by name; refuse one without."""
    if not folder.is_dir():
        raise GraphError(f"'{folder}' is no folder", remedy="Name a folder of pictures.")
    files = sorted(file for file in folder.rglob("*") if file.suffix.casefold() in DISPLAY + LINEAR)
    if not files:
        raise GraphError(
            f"no pictures in '{folder}'",
            remedy=f"It must hold some of: {', '.join(DISPLAY + LINEAR)}, no JPEG if it can be.",
        )
    return files


def lumas(file: Path, stops: Sequence[float] = (-2.0, 0.0, 2.0)) -> Iterable[tuple[str, Plane]]:
    """Yield a picture's coded luma, (H, W), as `colours` has it."""
    for name, rgb in colours(file, stops):
        yield name, luma_of(rgb)


def luma_of(rgb: Plane) -> Plane:
    """Return luma of coded R, G, B: (3, H, W) → (H, W)."""
    return np.asarray(np.moveaxis(rgb, 0, -1) @ LUMA, np.float32)


def colours(file: Path, stops: Sequence[float] = (-2.0, 0.0, 2.0)) -> Iterable[tuple[str, Plane]]:
    """Yield a picture's coded R, G, B, (3, H, W): once for display-referred files, at several exposures for
    scene-linear ones."""
    if file.suffix.casefold() in LINEAR:
        rgb = _linear(file)
        grey = float(np.median(rgb @ LUMA)) or 1.0
        for stop in stops:
            coded = encode(rgb * np.float32(0.18 * 2.0**stop / grey))
            yield f"{file.name} {stop:+g}", np.moveaxis(np.asarray(coded, np.float32), -1, 0)
        return
    yield file.name, display(file)


def display(file: Path) -> Plane:
    """Return a display-referred picture, (3, H, W) coded, 0 to 1."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            rgb = np.asarray(picture.convert("RGB"), np.float32)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise GraphError(
            f"cannot be read ({error})", file=file, remedy="Mend it or take it out of the folder."
        ) from None
    return np.moveaxis(np.asarray(rgb / np.float32(255), np.float32), -1, 0)


def _linear(file: Path) -> Plane:
    import OpenImageIO as oiio

    source = oiio.ImageInput.open(str(file))
    pixels = source.read_image("float") if source else None
    if pixels is None:
        reason = " ".join((oiio.geterror() if source is None else source.geterror()).split())
        raise GraphError(f"cannot be read ({reason})", file=file, remedy="Mend it or take it out of the folder.")
    rgb = np.asarray(pixels, np.float32)[..., :3]
    if rgb.shape[-1] == 1:
        rgb = np.repeat(rgb, 3, axis=-1)
    return np.where(np.isfinite(rgb), rgb, 0)


def pair(name: str, coded: Plane, scale: int, *, codes: bool = True) -> Picture:
    """Return a picture and its bicubic reduction, which has 8-bit steps with `codes` (those of the files one meets)."""
    full = whole(coded, scale)
    low = np.asarray(reduced(full, scale), np.float32)
    return Picture(name, full, _stepped(low) if codes else low)


def binned_pair(name: str, coded: Plane, scale: int, *, planes: int = 3, codes: bool = True) -> Picture:
    """Return a picture, R, G, B (3, H, W) or one plane (H, W), and its reduction by means of light, as `pair` does;
    with `planes` 1 the luma of both."""
    full = whole(coded, scale)
    low = np.asarray(binned(full, scale), np.float32)
    if planes == 1 and coded.ndim == 3:
        full, low = luma_of(full), luma_of(low)
    return Picture(name, full, _stepped(low) if codes else low)


def phased(coded: Plane, scale: int, reduce: Callable[[Plane], Picture]) -> Picture:
    """Return the picture that `reduce` makes of coded planes, (H, W) or (3, H, W), with its `phases`."""
    made = [reduce(coded[..., y:, x:]) for y in range(scale) for x in range(scale)]
    return replace(made[0], phases=tuple(one.low for one in made))


def _stepped(low: Plane) -> Plane:
    """Return coded values at the steps of 8 bits."""
    return np.asarray(np.rint(low * 255) / np.float32(255), np.float32)


def smaller(coded: Plane, share: float) -> Plane:
    """Return coded planes, (H, W) or (3, H, W), 0 to 1, reduced to a share (under 1) of their size by an antialiased
    bicubic kernel (Keys, a = -1/2)."""
    from PIL import Image

    size = (max(1, round(coded.shape[-1] * share)), max(1, round(coded.shape[-2] * share)))
    planes = coded.reshape(-1, *coded.shape[-2:])
    made = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC)) for plane in planes]
    stacked = np.clip(np.stack(made), 0, 1).reshape(*coded.shape[:-2], *made[0].shape)
    return np.asarray(stacked, np.float32)


def whole(coded: Plane, scale: int) -> Plane:
    """Return the planes with sides that are multiples of the scale."""
    height, width = (size // scale * scale for size in coded.shape[-2:])
    return np.ascontiguousarray(coded[..., :height, :width])


def psnr(got: Plane, want: Plane, border: int) -> float:
    """Return the peak signal-to-noise ratio in dB for a peak of 1, without `border` pixels on every side."""
    height, width = want.shape[-2:]
    d = (np.clip(got, 0, 1) - want)[..., border : height - border, border : width - border]
    return float(-10 * np.log10(max(float(np.mean(np.square(d, dtype=np.float64))), 1e-12)))
