"""Grain on pictures that are known without it: what there is of it in units of the stock's own, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, uniform_filter

from safelight.graph.image import Image
from safelight.host_adapters.cli.bench._shot import regrained
from safelight.nodes.grain.domain import Coding, coding
from safelight.nodes.grain.profile import BINS
from safelight.nodes.grain.spectrum import pixel_ratio, spectrum_1d
from safelight.nodes.grain.stock import Stock, load_stock
from safelight.nodes.measure.microdensitometer import Microdensitometer

Floats = npt.NDArray[np.float64]
Light = npt.NDArray[np.float32]
_CALM = 0.4


@dataclass(frozen=True, eq=False)
class Known:
    """Clean scene-linear frames (n, 3, H, W) and the stock and pitch they are grained with."""

    clean: Light
    name: str
    pitch: float

    @cached_property
    def stock(self) -> Stock:
        """The stock's tables."""
        return load_stock(self.name)

    @cached_property
    def film(self) -> Coding:
        """Density of the stock's layers."""
        return coding("density", self.stock.curves)

    @cached_property
    def grained(self) -> dict[int, Image]:
        """The frames with the stock's grain."""
        return regrained(self.clean, self.name, self.pitch)

    def sigma(self, frame: int) -> Floats:
        """Return sigma of a pixel's density, (3, H, W)."""
        sigmas = [
            self.stock.sigma48_at(layer, plane) * pixel_ratio(self.stock.cloud_um[layer], self.pitch)
            for layer, plane in enumerate(self.clean[frame])
        ]
        return np.stack(sigmas)

    def units(self, a: Light, b: Light, frame: int) -> Floats:
        """Return the density of `a` less that of `b`, over the stock's sigma there: (3, H, W).

        Grain of the stock itself is a field of variance 1.
        """
        return np.asarray((self.film.encode(a) - self.film.encode(b)) / self.sigma(frame))

    def rings(self, layer: int) -> Floats:
        """Return the model's power in ten rings up to 0.5 cycles a pixel, for variance 1."""
        f = np.fft.fftfreq(256)
        line = spectrum_1d(self.stock.cloud_um[layer], self.pitch, f)
        return _ring_means(np.outer(line, line), np.hypot(f[:, None], f[None]))

    def ring_errors(self, fields: Iterable[Floats]) -> Floats:
        """Return (3, 10): power of fields in grain's units over the model's, less 1."""
        found = np.mean([[ring_power(plane) for plane in field] for field in fields], axis=0)
        return np.asarray(found / np.stack([self.rings(layer) for layer in range(3)]) - 1)

    def readings(self, fields: Sequence[Floats], flat: Sequence[int] | None = None) -> Floats:
        """Return (3,): what a 48 µm disc reads on fields in grain's units, over what it should.

        With `flat`, the fields' frames, only where the clean density varies by less than 0.4 of the grain's
        sigma (standard deviation) in a square three times as wide as the disc.
        """
        meter = Microdensitometer(self.pitch)
        size = meter.weights.shape[0]
        step = max(1, size // 2)
        ratios = []
        for layer in range(3):
            cloud = self.stock.cloud_um[layer]
            values = []
            for index, field in enumerate(fields):
                found = meter.readings(field[layer], step)
                if flat is not None:
                    busy = self._variation(flat[index], layer, 3 * size)[size // 2 :: step, size // 2 :: step]
                    found = found[busy[: found.shape[0], : found.shape[1]] < _CALM]
                values.append(found.ravel())
            sigma = np.std(np.concatenate(values), ddof=1) / meter.kappa(cloud)
            ratios.append(sigma * pixel_ratio(cloud, self.pitch))
        return np.array(ratios)

    def _variation(self, frame: int, layer: int, size: int) -> Floats:
        """Return the clean density's standard deviation in squares about each pixel, over the grain's sigma."""
        density = self.film.encode(self.clean[frame])[layer]
        variance = uniform_filter(density**2, size) - uniform_filter(density, size) ** 2
        return np.asarray(np.sqrt(np.maximum(variance, 0)) / self.sigma(frame)[layer])

    def edges(self, taken: Sequence[Floats], frames: Sequence[int]) -> tuple[Floats, Floats]:
        """Return (3,) twice: correlation of taken fields, in grain's units, with the clean density's fine structure,
        and the larger one with its slopes along x and y.

        Fine is the clean density less its Gaussian mean of 2 pixels, in grain's units too: what a smear takes. A
        picture that moves shows in the slopes. Grain alone correlates with neither, but for 1 / sqrt(pixels).
        """
        fine, slopes = [], []
        for layer in range(3):
            a, b, c = [], [], []
            for field, frame in zip(taken, frames, strict=True):
                density, sigma = self.film.encode(self.clean[frame])[layer], self.sigma(frame)[layer]
                a.append(field[layer].ravel())
                b.append(np.clip((density - gaussian_filter(density, 2.0)) / sigma, -20, 20).ravel())
                c.append(np.stack([np.clip(slope / sigma, -20, 20).ravel() for slope in np.gradient(density)]))
            first = np.concatenate(a)
            fine.append(np.corrcoef(first, np.concatenate(b))[0, 1])
            along = [np.corrcoef(first, row)[0, 1] for row in np.concatenate(c, axis=1)]
            slopes.append(max(along, key=abs))
        return np.array(fine), np.array(slopes)


def ring_power(field: Floats) -> Floats:
    """Return a field's power in ten rings up to 0.5 cycles a pixel, 1 for white noise of variance 1 (Hann's window)."""
    h, w = field.shape
    window = np.outer(np.hanning(h + 2)[1:-1], np.hanning(w + 2)[1:-1])
    inside = (field - field.mean()) * window
    power = np.abs(np.fft.rfft2(inside)) ** 2 / np.sum(window**2)
    return _ring_means(power, np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None]))


def _ring_means(power: Floats, radius: Floats) -> Floats:
    ring = np.minimum((radius * 2 * BINS).astype(int), BINS)
    count = np.bincount(ring.ravel(), minlength=BINS + 1)[:BINS]
    return np.asarray(np.bincount(ring.ravel(), power.ravel(), minlength=BINS + 1)[:BINS] / np.maximum(count, 1))


def worst(errors: Floats) -> float:
    """Return the largest of relative errors, in percent."""
    return 100 * float(np.abs(errors).max())


def percent(values: Floats) -> str:
    """Write relative errors for a person."""
    return " ".join(f"{value:+.0%}" for value in values)
