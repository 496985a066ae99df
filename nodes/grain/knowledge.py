"""Where Degrain's knowledge of the noise comes from: the shot, a drawn patch, a saved profile, a stock, a number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Request
from safelight.nodes.grain.domain import Coding, Domain, Floats, coding
from safelight.nodes.grain.noise import SAMPLES, Noise, dct_spectrum, estimate, smooth
from safelight.nodes.grain.patch import FEWEST, area_of, check_patch, measure_patch
from safelight.nodes.grain.profile import Channel, Profile, load_profile
from safelight.nodes.grain.regrain import film_layers
from safelight.nodes.grain.residual import SIDE
from safelight.nodes.grain.stock import load_format, load_stock

Source = Literal["auto", "patch", "profile", "stock", "manual"]
UNIT = {"log": "stops", "linear": "plate values", "density": "density"}

_QUIET = {"log": 2e-3, "linear": 1e-4, "density": 4e-4}  # sigma below which a patch holds no noise
_SHAPE = {
    "log": "the same number of stops at every other level",
    "linear": "the same at every other level",
    "density": "at every other level what the granularity of {stock} makes of it",
}


@dataclass(frozen=True)
class Knowledge:
    """What a person says of the noise: the parameters of Degrain with these names."""

    source: Source
    asked: Literal["auto", "log", "linear", "density"]
    """The parameter `domain`."""
    sigma: float
    stock: str
    format: str
    pitch: float
    patch: tuple[int, ...]
    patch_frame: int | None
    profile: str

    # --- where grain is taken ---------------------------------------------------------------------------------------

    @property
    def domain(self) -> Domain:
        """Where grain is taken."""
        if self.asked != "auto":
            return self.asked
        if self.source == "profile":
            return self._profile().domain
        return "density" if self.source == "stock" else "log"

    @property
    def film(self) -> str:
        """The stock that density is of: a profile's own where the domain is the profile's."""
        if self.source == "profile" and self.asked == "auto":
            return self._profile().stock
        return self.stock

    def coding(self, channels: Sequence[str]) -> Coding:
        """Return how the colour planes are encoded, in the order of `colour_planes`."""
        return _coding(self.domain, self.film, channels)

    # --- before anything renders ------------------------------------------------------------------------------------

    def check(self, clip: Clip) -> list[str]:
        """Refuse what would fail while rendering (raises GraphError); return warnings."""
        warnings = self._check_profile(clip) if self.source == "profile" else []
        if self.source == "patch":
            self._check_patch(clip)
        if self.domain == "density":
            load_stock(self.film)
            load_format(self.format)
        elif self.source == "stock":
            raise GraphError(
                f"noise = 'stock' is known in density, and domain is '{self.asked}'",
                where="parameter 'domain'",
                remedy="Leave domain at 'auto', or measure with noise = 'auto'.",
            )
        return warnings

    def _check_patch(self, clip: Clip) -> None:
        if not self.patch:
            raise GraphError(
                "noise = 'patch', and no patch is drawn",
                where="parameter 'patch'",
                remedy="Give x0, y0, x1, y1 of an evenly lit part of the picture.",
            )
        if self.patch_frame is not None and self.patch_frame not in clip:
            raise GraphError(
                f"the patch is drawn on frame {self.patch_frame}, and the clip runs from {clip.first} to {clip.last}",
                where="parameter 'patch_frame'",
                remedy="Name a frame of the clip.",
            )
        if clip.frames:
            check_patch(self.patch, clip.display, clip.extent_at(self._patch_frame(clip)))

    def _check_profile(self, clip: Clip) -> list[str]:
        found = self._profile()
        held = {name.upper() for name in found.channels}
        wanted = [clip.channels[plane] for plane in colour_planes(clip.channels)]
        missing = [name for name in wanted if name.upper() not in held]
        if missing:
            raise GraphError(
                f"the profile knows {', '.join(found.channels)} and nothing of the plate's {', '.join(missing)}",
                where="parameter 'profile'",
                file=self.profile,
                remedy="Measure a plate with these channels: 'safelight analyse SEQUENCE --profile FILE'.",
            )
        if not found.grain:
            return [f"{self.profile}: the profile holds no grain: nothing will be taken"]
        if found.plate.width != clip.display.width:
            return [
                f"{self.profile}: the profile is of a plate {found.plate.width} pixels wide and this one has "
                f"{clip.display.width}: unless it is a crop of the same scan, its grain has another size in pixels"
            ]
        return []

    def fingerprint(self) -> str:
        """Return what the noise depends on beside parameters and plate: the content of the profile."""
        if self.source != "profile":
            return ""
        self._profile()  # a file that is not there or broken is an error with a remedy
        return hashlib.sha256(Path(self.profile).read_bytes()).hexdigest()

    def _profile(self) -> Profile:
        if not self.profile:
            raise GraphError(
                "noise = 'profile', and no profile is named",
                where="parameter 'profile'",
                remedy="Name a file that 'safelight analyse SEQUENCE --profile FILE' or GrainAnalyse saved.",
            )
        return _kept(self.profile, _stamp(Path(self.profile)))

    # --- the noise ---------------------------------------------------------------------------------------------------

    def noise(self, clip: Clip, channels: Sequence[str], code: Coding, analysis: Mapping[str, Any] | None) -> Noise:
        """Return the noise of the plate's colour planes, in the domain of `code`.

        `analysis` is what `analyse` gave; it is needed where `measured` is true.
        """
        layers = film_layers(channels)[1]
        if self.source == "manual":
            return Noise.white([self.sigma] * len(layers))
        if self.source == "stock":
            pitch = self.pitch or load_format(self.format).pitch(max(1, clip.display.width))
            return Noise.of_stock(load_stock(self.stock), layers, pitch, code)
        if self.source == "profile":
            names = [channels[plane] for plane in colour_planes(channels)]
            return noise_of_profile(self._profile(), names, code)
        if analysis is None:
            raise RuntimeError(f"Degrain with noise = {self.source} was given no analysis")
        return Noise.from_data(analysis["noise"])

    # --- what is measured on the shot --------------------------------------------------------------------------------

    @property
    def measured(self) -> bool:
        """Tell whether the shot must be looked at."""
        return self.source in ("auto", "patch")

    @property
    def measures_by(self) -> Mapping[str, Any]:
        """What a measurement depends on."""
        found: dict[str, Any] = {"domain": self.domain, "stock": self.stock if self.domain == "density" else ""}
        if self.source == "patch":
            found |= {"patch": list(self.patch), "patch_frame": self.patch_frame}
        return found

    def _patch_frame(self, clip: Clip) -> int:
        return clip.first if self.patch_frame is None else self.patch_frame

    def requests(self, clip: Clip) -> Sequence[Request]:
        """Return up to eight frames, spread over the shot, or the patch's."""
        if not clip.frames:
            return []
        if self.source == "patch":
            self._check_patch(clip)
            frame, area = self._patch_frame(clip), area_of(self.patch)
            extent = clip.extent_at(frame)
            return [Request(frame, extent.intersect(area) if area else extent)]
        count = len(clip.frames)
        chosen = sorted({clip.first + round(i * (count - 1) / 7) for i in range(8)})
        return [Request(frame, clip.extent_at(frame)) for frame in chosen]

    def analyse(self, images: Iterable[tuple[int, Image]], clip: Clip, device: Device) -> Mapping[str, Any]:
        """Measure sigma against level, and spectrum, for each channel.

        Raises RenderError where too little of a patch can be measured.
        """
        frames: list[int] = []
        names = [clip.channels[plane] for plane in colour_planes(clip.channels)]

        def planes() -> Iterable[Any]:
            area = area_of(self.patch) if self.source == "patch" else None
            for number, image in images:
                frames.append(number)
                cropped = image.crop(image.region.intersect(area)) if area else image
                yield device.download(cropped).data[list(colour_planes(image.channels))]

        code = self.coding(clip.channels)
        if self.source == "patch":
            noise, at = self._patch_noise(next(iter(planes())), names, code, frames)
        else:
            noise, at = estimate(planes(), code), "sigma at the middle level: "
        middle = noise.sigma[:, noise.sigma.shape[1] // 2]
        if self.source == "patch":
            said = at
        else:
            said = at + ", ".join(f"{name} {value:.4g}" for name, value in zip(names, middle, strict=False))
            said += f" {UNIT[code.domain]}"
        if noise.silent:
            said = "no noise found: nothing will be taken"
        note = ". ".join([said, *(f"Careful: {remark}" for remark in noise.remarks)])
        return {"note": note, "frames": frames, "channels": names, "noise": noise.as_data()}

    def _patch_noise(self, planes: Any, names: Sequence[str], code: Coding, frames: Sequence[int]) -> tuple[Noise, str]:
        """Return the noise, and what is said of it."""
        area = area_of(self.patch)
        found = measure_patch(planes, code)
        if found.blocks < FEWEST:
            whole = found.blocks + found.busy + found.unusable
            raise RenderError(
                f"of the {whole} areas of {SIDE} x {SIDE} pixels in the patch, {whole - found.unusable} are neither "
                f"clipped nor empty: noise is not measured on fewer than {FEWEST}",
                frame=frames[0],
                remedy="Draw the patch on an evenly lit part that is not clipped, or on another frame (patch_frame).",
            )
        high = 3.5 if code.domain == "density" else 1.0
        sigma = np.repeat(found.sigma[:, None], SAMPLES, axis=1)
        if code.domain == "density":
            # The stock says how sigma goes with density, the patch how large it is.
            stock, at = load_stock(self.stock), np.linspace(0, high, SAMPLES)
            light = code.decode(np.repeat(at[None], len(sigma), axis=0))
            for c, layer in enumerate(film_layers(names)[1]):
                sigma[c] *= stock.sigma48_at(layer, light[c]) / stock.sigma48_at(layer, found.level[c])
        spectrum = dct_spectrum(found.correlation, found.channels, found.sigma)
        silent = bool((found.sigma < _QUIET[code.domain]).all())
        stops = float(np.log2(max(float(found.level.mean()), 1e-9) / 0.18))
        shape = _SHAPE[code.domain].format(stock=load_stock(self.stock).short if code.domain == "density" else "")
        told = ", ".join(f"{name} {value:.4g}" for name, value in zip(names, found.sigma, strict=True))
        said = (
            f"sigma in the patch {area}, frame {frames[0]}, {stops:+.1f} stops from mid-grey: {told} "
            f"{UNIT[code.domain]}. One level was measured: sigma is taken to be {shape}"
        )
        noise = Noise(0.0, high, sigma * (not silent), spectrum, remarks=found.remarks)
        return noise, said


def _coding(domain: Domain, stock: str, channels: Sequence[str]) -> Coding:
    if domain != "density":
        return coding(domain)
    curves = load_stock(stock).curves
    return coding(domain, [curves[layer] for layer in film_layers(channels)[1]])


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0  # reading it says what is wrong
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=16)
def _kept(path: str, stamp: tuple[int, int]) -> Profile:
    return load_profile(Path(path))


def noise_of_profile(profile: Profile, names: Sequence[str], code: Coding) -> Noise:
    """Return a profile's noise for channels of these names, in the domain of `code`.

    Sigma is that of the profile in its own domain, times how much steeper `code` is at the level; between the levels
    it is smooth, by their uncertainties, and beyond them constant. The spectrum is that of the autocorrelation, which
    is nothing beyond the profile's lags; channels share noise at all frequencies alike.
    """
    by_name = {name.upper(): (index, channel) for index, (name, channel) in enumerate(profile.channels.items())}
    places, found = zip(*(by_name[name.upper()] for name in names), strict=True)
    count = len(names)
    if not all(channel.curve for channel in found):
        return Noise.white([0.0] * count)
    own = _coding(profile.domain, profile.stock, names)
    levels = [_levels(channel, c, own, code) for c, channel in enumerate(found)]
    low = min(float(at.min()) for at, _, _ in levels)
    high = max(low + 1e-3, *(float(at.max()) for at, _, _ in levels))
    at = np.linspace(low, high, SAMPLES)
    sigma = np.stack([_curve(*row, at) for row in levels])
    correlation = np.array([channel.autocorrelation for channel in found])
    channels = np.asarray(profile.correlation)[np.ix_(places, places)]
    return Noise(low, high, sigma, dct_spectrum(correlation, channels, np.median(sigma, axis=1)))


def _levels(channel: Channel, c: int, own: Coding, code: Coding) -> tuple[Floats, Floats, Floats]:
    """Return level and sigma in the domain of `code`, and the relative uncertainty, at each point of a curve."""
    light = np.array([point.level for point in channel.curve])
    step = np.maximum(0.01 * np.abs(light), 1e-5)

    def slope(of: Coding) -> Floats:
        one = replace(of, curves=of.curves[c : c + 1])
        return np.asarray((one.encode((light + step)[None]) - one.encode((light - step)[None]))[0] / (2 * step))

    sigma = np.array([point.sigma for point in channel.curve])
    relative = np.array([point.uncertainty for point in channel.curve]) / np.maximum(sigma, 1e-12)
    if (own.domain, own.curves) != (code.domain, code.curves):
        sigma = sigma * slope(code) / np.maximum(slope(own), 1e-12)
    return replace(code, curves=code.curves[c : c + 1]).encode(light[None])[0], sigma, relative


def _curve(levels: Floats, sigma: Floats, relative: Floats, at: Floats) -> Floats:
    """Return sigma at levels `at`."""
    least = 1e-3 * float(sigma.max()) or 1e-9
    weights = 1 / np.maximum(relative, 0.01) ** 2
    inside = np.clip(at, levels.min(), levels.max())
    found = np.exp(smooth(levels, np.log(np.maximum(sigma, least)), weights, at, lean=False))
    return np.asarray(np.interp(inside, at, found))
