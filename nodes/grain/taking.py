"""How much of the grain is taken where: by matte, channel, tone, and detail protection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.grain.domain import CODE, TOE, Coding, Floats
from safelight.nodes.grain.noise import SAMPLES, Noise
from safelight.nodes.grain.working import filled
from safelight.nodes.kernels.launch import launch

GREY = 0.18


@dataclass(frozen=True)
class Taking:
    """What is taken of the grain: `strength` of all, times that of each colour plane, times that of the tone."""

    strength: float
    channels: tuple[float, ...]
    """Strength of each colour plane."""
    tones: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Strength in shadows, midtones, highlights."""
    detail: float = 0.0
    """How far detail is protected, 0 to 1."""
    matte: Any = None
    """(1, H, W) over the plate; None takes everywhere."""

    @property
    def even(self) -> bool:
        """Tell whether every channel and tone has one strength."""
        return set(self.channels) | set(self.tones) == {1.0}

    @property
    def amount(self) -> float:
        """Return how much the kernel `degrain` takes by itself: all of it where `apply` gives some back."""
        return min(1.0, self.strength) if self.even and self.detail == 0 else 1.0

    def part(self, first: int, count: int) -> Taking:
        """Return the same for planes that are worked on together."""
        return replace(self, channels=self.channels[first : first + count])

    def noise(self, noise: Noise, code: Coding) -> Noise:
        """Return what the noise is thought to be, but for the strength of all: stronger where a strength exceeds 1."""
        if self.even or max(1.0, max(self.channels) * max(self.tones)) * self.strength <= 1:
            return noise
        low, high, sigma = noise.low, noise.high, noise.sigma
        if len(set(self.tones)) > 1:
            # The curve must reach both ends of the tones; beyond its own ends it is constant.
            ends = code.encode(np.repeat([[GREY / 16, GREY * 16]], len(sigma), axis=0))
            old = np.linspace(low, high, sigma.shape[1])
            low, high = min(low, float(ends.min())), max(high, float(ends.max()))
            at = np.linspace(low, high, 4 * SAMPLES)
            sigma = np.stack([np.interp(at, old, row) for row in sigma])
        light = code.decode(np.repeat([np.linspace(low, high, sigma.shape[1])], len(sigma), axis=0))
        wanted = self.strength * np.asarray(self.channels)[:, None] * tone(light, self.tones)
        return replace(noise, low=low, high=high, sigma=sigma * np.maximum(1, wanted) / max(1.0, self.strength))

    def apply(
        self, device: Device, region: Region, noise: Noise, code: Coding, plate: Any, clean: Any, grain: Any
    ) -> None:
        """Rewrite `clean` and `grain` (planes over `region`) to what is to be taken; see the kernel `degrain_take`.

        `noise` is that of the plate, as measured.
        """
        alone = self.even and self.detail == 0
        if alone and self.matte is None:
            return
        planes = plate.shape[0]
        matte = self._protect(device, region, noise, code, clean) if self.detail > 0 else self.matte
        strength = [1.0 if alone else self.strength * channel for channel in self.channels]
        launch(
            device,
            "degrain_take",
            region,
            plate=(plate, region),
            clean=(clean, region),
            matte=(plate[:1] if matte is None else matte, region),
            image=(clean, region),
            grain=(grain, region),
            planes=planes,
            use_matte=matte is not None,
            strength=[*strength, *[1.0] * (3 - planes)],
            tone=self.tones,
        )

    def _protect(self, device: Device, region: Region, noise: Noise, code: Coding, clean: Any) -> Any:
        """Return the matte, lowered where the clean picture holds detail: see the kernel `degrain_detail`."""
        planes = clean.shape[0]
        coded = device.xp.empty(clean.shape, dtype=np.float32)
        matte = device.xp.empty((1, *clean.shape[1:]), dtype=np.float32)
        launch(
            device,
            "degrain_encode",
            region,
            plate=(filled(clean, device.xp), region),
            out=(coded, region),
            luma=(matte, region),  # of no use here, and written over
            curve=code.forward,
            planes=planes,
            domain=CODE[code.domain],
            per_toe=1 / TOE,
            search_scale=1.0,
        )
        launch(
            device,
            "degrain_detail",
            region,
            reach=3,
            coded=(coded, region),
            matte=(coded[:1] if self.matte is None else self.matte, region),
            out=(matte, region),
            variance=(noise.sigma**2, (noise.low, noise.high)),
            planes=planes,
            use_matte=self.matte is not None,
            detail=self.detail,
            relative=[*noise.spectrum.mean((1, 2)), *[1.0] * (3 - planes)],
        )
        return matte


def tone(light: Any, tones: tuple[float, float, float]) -> Floats:
    """Return the strength at levels of scene-linear light.

    `tones[0]` holds up to 3 stops below 0.18, `tones[1]` from 1 stop below to 1 stop above, `tones[2]` from 3 stops
    above; between them a cubic smoothstep. Negative light is shadow.

    >>> tone([0.18, 0.09, 0.045, 0.001, 1.44, 100], (0, 1, 2)).tolist()
    [1.0, 1.0, 0.5, 0.0, 2.0, 2.0]
    """
    stops = np.log2(np.maximum(np.asarray(light, np.float64), 1e-12) / GREY)
    below, above = (np.clip((sign * stops - 1) / 2, 0, 1) for sign in (-1, 1))
    shadows, highlights = (share**2 * (3 - 2 * share) for share in (below, above))
    return np.asarray(tones[1] + shadows * (tones[0] - tones[1]) + highlights * (tones[2] - tones[1]), dtype=np.float64)


def coverage(matte: Image, region: Region, device: Device) -> Any:
    """Return a matte's first channel over `region`, (1, H, W); 0 outside its data window."""
    if matte.region == region:
        return matte.data[:1]
    whole = device.xp.zeros((1, region.height, region.width), dtype=np.float32)
    inside = matte.region.intersect(region)
    if inside:
        y, x = inside.y0 - region.y0, inside.x0 - region.x0
        whole[:, y : y + inside.height, x : x + inside.width] = matte.crop(inside).data[:1]
    return whole
