"""A lift to HDR in numbers: the tone curve, its inverse, where the working space stands, and the call of the kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.config import ColourConfig
from safelight.colour.ictcp import XYZ_TO_LMS
from safelight.colour.transfer import PQ_PEAK, pq
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Array, Image
from safelight.graph.region import Region
from safelight.nodes.colour.lift_fields import fields, pieces, table, texture_base
from safelight.nodes.colour.pq_pieces import decoding, encoding
from safelight.nodes.colour.source import WORKING, Source
from safelight.nodes.kernels.launch import launch

Floats = npt.NDArray[np.float64]

OUT_WHITE = 100.0
"""Light of the working space's 1.0 in a lifted picture, in cd/m²."""
RAMP = 0.5
"""Share of the stops between knee and clip level in which the curve's slope changes."""
OWN = 0.9
"""Share of the stops between diffuse white and peak that a plate's own highlights may take: the rest is for what it
clips."""
LEAST_ROOM = 1e-4


@dataclass(frozen=True)
class Curve:
    """The tone curve, over stops above the knee: smooth, rising everywhere, with a closed inverse.

    Up to the knee light is diffuse white times the source's. From there to the level where the source clips it rises,
    first with growing slope, then straight, to the light that the clip level is given; beyond, where only reconstructed
    highlights lie, it runs up to the peak and never over it.

    Attributes
    ----------
    knee:
        Light of the knee, cd/m².
    ramp, top:
        Stops above the knee where the slope stops changing, and where the source clips.
    bend, slope:
        Half the slope's change a stop along the ramp; the slope after it.
    room:
        Stops from the clip level's light to the peak.
    """

    knee: float
    ramp: float
    bend: float
    slope: float
    top: float
    room: float

    @classmethod
    def of(
        cls, *, peak: float, diffuse_white: float, knee: float = 0.5, highlights: float = 0.5, clip: float = 1.0
    ) -> Curve:
        """Build the curve.

        Parameters
        ----------
        peak, diffuse_white:
            cd/m²; diffuse white at most the peak.
        knee, clip:
            Light of the source where expansion begins and where it clips, SDR white = 1; the knee below both.
        highlights:
            Share of the stops between diffuse white and peak that SDR white is lifted by.
        """
        stops = float(np.log2(peak / diffuse_white))
        top = float(np.log2(clip / knee))
        own = min(float(np.log2(clip)), OWN * stops)
        v_top = float(np.log2(1 / knee)) + max(highlights * stops, own)
        steep = v_top / top
        part = min(RAMP, steep)
        slope = (steep - part / 2) / (1 - part / 2)
        ramp = part * top
        room = max(float(np.log2(peak / (knee * diffuse_white))) - v_top, LEAST_ROOM)
        return cls(knee * diffuse_white, ramp, (slope - 1) / (2 * ramp), slope, top, room)

    @property
    def v_ramp(self) -> float:
        """Where the ramp leads to."""
        return self.ramp + self.bend * self.ramp**2

    @property
    def v_top(self) -> float:
        """Where the clip level leads to."""
        return self.v_ramp + self.slope * (self.top - self.ramp)

    def up(self, stops: npt.ArrayLike) -> Floats:
        """Return the lifted light of the source's, both in stops above the knee."""
        u = np.asarray(stops, np.float64)
        s = np.maximum(u - self.top, 0) * self.slope
        high = self.v_top + s * self.room / (s + self.room)
        middle = self.v_ramp + self.slope * (u - self.ramp)
        low = u + self.bend * np.clip(u, 0, self.ramp) ** 2
        return np.asarray(np.where(u < self.ramp, low, np.where(u < self.top, middle, high)))

    def down(self, stops: npt.ArrayLike) -> Floats:
        """Invert `up`; light at or over the peak comes back as 20 stops above the clip level."""
        v = np.asarray(stops, np.float64)
        low = np.where(v < 0, v, 2 * v / (1 + np.sqrt(np.maximum(1 + 4 * self.bend * np.maximum(v, 0), 0))))
        middle = self.ramp + (v - self.v_ramp) / self.slope
        y = np.maximum(v - self.v_top, 0)
        high = self.top + np.minimum(y / np.maximum(self.slope * (1 - y / self.room), 1e-6), 20)
        return np.asarray(np.where(v < self.v_ramp, low, np.where(v < self.v_top, middle, high)))

    def light(self, source: npt.ArrayLike) -> Floats:
        """Return the lifted light in cd/m² of source light in cd/m², diffuse white already in it."""
        v = np.asarray(source, np.float64)
        above = self.knee * 2 ** self.up(np.log2(np.maximum(v, self.knee) / self.knee))
        return np.asarray(np.where(v > self.knee, above, v))

    def arguments(self) -> dict[str, Any]:
        """Return what the kernel takes."""
        return {
            "knee": self.knee / PQ_PEAK,
            "knee_signal": float(pq(self.knee)),
            "knee_log2": float(np.log2(self.knee / PQ_PEAK)),
            "ramp": self.ramp,
            "bend": self.bend,
            "slope": self.slope,
            "top": self.top,
            "v_ramp": self.v_ramp,
            "v_top": self.v_top,
            "room": self.room,
            "span": self.v_top - self.top,
        }


@dataclass(frozen=True)
class Lift:
    """A lift, or its inverse, with all its numbers.

    Attributes
    ----------
    curve:
        The tone curve; None: nothing expands, light is scaled alone.
    diffuse_white:
        Light of the source's 1.0 in cd/m².
    saturation:
        Factor of Ct and Cp at the clip level.
    back:
        From HDR to SDR.
    source:
        The channels that clip and are rounded.
    level:
        Light at which they clip, SDR white = 1.
    stops:
        The most light that what clips is given; 0: none.
    deband:
        Codes are smoothed within their rounding; on the way back, rounded.
    led:
        Channels that clip alone are given light too.
    detail:
        Gain of texture over what the curve's slope gives it; 1: the curve alone, with an exact inverse.
    dither, seed, frame:
        Bits of the PQ signal to dither for, 0 for none; what the noise depends on beside the pixel.
    to_lms:
        3 × 3, working space to cone responses (BT.2100), white 1, 1, 1.
    """

    curve: Curve | None
    diffuse_white: float
    saturation: float
    back: bool
    to_lms: Floats
    source: Source = WORKING
    level: float = 1.0
    stops: float = 0.0
    deband: bool = False
    led: bool = False
    detail: float = 1.0
    dither: int = 0
    seed: int = 1
    frame: int = 0

    @property
    def gain(self) -> float:
        """Factor of the pixels below the knee."""
        up = self.diffuse_white / OUT_WHITE
        return 1 / up if self.back else up


@lru_cache(maxsize=8)
def working_to_lms(config: ColourConfig) -> Floats:
    """Return the 3 × 3 matrix from the working space to the cone responses of BT.2100.

    Raises
    ------
    GraphError
        The config does not say where its working space stands, or it is not linear.
    """
    probe = np.zeros((3, 1, 5), np.float32)
    probe[:, 0, :3] = np.eye(3)
    probe[:, 0, 3] = (0.25, 0.5, 2.0)
    xyz = np.asarray(config.to_xyz(probe, config.working, Device("cpu", 1)), np.float64)[:, 0]
    matrix = xyz[:, :3]
    if np.abs(matrix @ probe[:, 0, 3] - xyz[:, 3]).max() > 1e-4 or np.abs(xyz[:, 4]).max() > 1e-6:
        raise GraphError(
            f"the working space '{config.working}' is not linear in light",
            file=config.source.path,
            remedy="Set the role 'scene_linear' of the config to a scene-linear space.",
        )
    return np.asarray(XYZ_TO_LMS @ matrix)


def lift_planes(
    device: Device, lift: Lift, image: Image, planes: tuple[int, ...], out: Array, *, width: int, isa: str | None = None
) -> None:
    """Lift the colour planes of an image into those of `out` (C, H, W), which covers the same region.

    Parameters
    ----------
    image:
        A whole frame: what is around a pixel counts.
    width:
        Of the display window.
    """
    if lift.curve is None:
        for plane in planes:
            values = image.data[plane]
            out[plane] = device.xp.where(device.xp.isfinite(values), values * np.float32(lift.gain), values)
        return
    region = Region.sized(image.region.width, image.region.height)
    colour, source = len(planes) == 3, lift.source
    pixels = image.data, region
    smooth = recover = None
    if not lift.back and (lift.deband or lift.stops):
        smooth, recover = fields(
            device, source, pixels, planes, width=width, level=lift.level, deband=lift.deband, stops=lift.stops,
            led=lift.led, isa=isa,
        )  # fmt: skip
    given, made = (OUT_WHITE, lift.diffuse_white) if lift.back else (lift.diffuse_white, OUT_WHITE)
    one = np.zeros((3, 3))
    one[:, 0] = 1
    to_lms, from_lms = (lift.to_lms, np.linalg.inv(lift.to_lms)) if colour else (one, one)
    to_source = source.to_source if colour else np.eye(3)
    base = pixels
    if lift.detail != 1:
        under = pixels
        if lift.back:  # texture lies on the source's light: nearly that of the curve's plain inverse
            plain = replace(lift, detail=1.0, stops=0.0, deband=False)
            under = device.empty(out.shape), region
            lift_planes(
                device, plain, Image(image.data, region, image.channels), planes, under[0], width=width, isa=isa
            )
        knee_log2 = float(np.log2(lift.curve.knee / PQ_PEAK))
        base = texture_base(device, under, planes, (to_lms * (lift.diffuse_white / PQ_PEAK)).ravel(), knee_log2, isa)
    launch(
        device, "hdr_lift", region, isa=isa,
        image=pixels, out=(out, region), smooth=smooth[0] if smooth else pixels,
        busy=smooth[1] if smooth else pixels, recover=recover or pixels, base=base, detail=lift.detail,
        dither=1 / (2**lift.dither - 1) if lift.dither else 0.0, seed=lift.seed, frame=lift.frame, x0=image.region.x0,
        y0=image.region.y0,
        to_lms=(to_lms * (given / PQ_PEAK)).ravel(), from_lms=(from_lms * (PQ_PEAK / made)).ravel(), gain=lift.gain,
        **lift.curve.arguments(), saturation=float(np.log2(lift.saturation)), back=lift.back,
        encoding=(encoding(), (0.0, 1.0)), decoding=(decoding(), (0.0, 1.0)),
        **pieces(source), table=table(source), to_source=to_source.ravel(),
        from_source=np.linalg.inv(to_source).ravel(), level=lift.level,
        deband=lift.deband if lift.back else smooth is not None,
        clip=lift.stops > 0 if lift.back else recover is not None, led=lift.led,
        plane=np.resize(np.asarray(planes, np.int32), 3), planes=len(planes),
    )  # fmt: skip
