"""Plate: a moving test picture with known truth, without any file."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Request
from safelight.graph.params import Params, param
from safelight.graph.region import Region
from safelight.nodes.io.plate_scene import scene_arguments
from safelight.nodes.kernels.launch import launch

LEAST_FOR_CUT = 8


class PlateParams(Params):
    """Parameters of Plate."""

    width: int = param(1920, "Width of the picture.", unit="pixels", ge=1, le=32768)
    height: int = param(1080, "Height of the picture; the composition scales with it.", unit="pixels", ge=1, le=32768)
    frames: int = param(100, "How many frames there are.", unit="frames", ge=1, le=1_000_000)
    seed: int = param(1, "Another number gives other textures.", ge=0, le=2**31 - 1)
    first: int = param(1001, "Number of the first frame.", ge=-1_000_000, le=10_000_000)
    cut: bool = param(True, f"Cut to another scene half way; a clip under {LEAST_FOR_CUT} frames has no cut.")


def cut_frame(params: PlateParams) -> int | None:
    """Return the first frame after the cut, or None when there is none."""
    if not params.cut or params.frames < LEAST_FOR_CUT:
        return None
    return params.first + params.frames // 2


class Plate(Node):
    """A procedural test picture: scene-linear RGB, noise-free, never negative, the same bits for the same parameters.

    It holds what restoration gets wrong: leaves and cloth down to 2.5 pixels, hair, smooth skin, text, straight and
    slanted edges, lamps of 64 to 140, shadows under 0.001, saturated colours; layers that pan by parts of a pixel, a
    turning wheel with the garden behind its spokes, a fast dark pole in front, a cut half way (its frame is the
    metadata entry `safelight:cut`), and a still chart of flat patches from -7 to +4 stops about 0.18.
    """

    id = "Plate"
    inputs = ()
    Params = PlateParams
    scratch = 0.0

    def extent(self, params: PlateParams, inputs: Mapping[str, Clip]) -> Clip:
        """Say size and frames."""
        window = Region.sized(params.width, params.height)
        return Clip(
            first=params.first,
            last=params.first + params.frames - 1,
            display=window,
            extent=window,
            fps=Fraction(24),
            metadata=_metadata(params),
        )

    def needs(self, params: PlateParams, request: Request) -> Mapping[str, list[Request]]:
        """Nothing: every pixel follows from its position."""
        return {}

    def compute(self, params: PlateParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Draw; see the kernel `plate`."""
        cut = cut_frame(params)
        scene = int(cut is not None and request.frame >= cut)
        time = request.frame - (cut if scene and cut is not None else params.first)
        region = request.region
        out = device.empty((3, region.height, region.width))
        arguments = scene_arguments(params.width, params.height, params.seed, scene, time, request.frame)
        launch(device, "plate", region, out=(out, region), **arguments)
        return Image(out, region, metadata=_metadata(params))


def _metadata(params: PlateParams) -> dict[str, Any]:
    cut = cut_frame(params)
    return {"safelight:plate": f"seed {params.seed}"} | ({} if cut is None else {"safelight:cut": cut})
