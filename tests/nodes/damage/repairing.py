"""What tests of Repair share: a moving scene with known truth, damage, and one frame run as the engine does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.damage.damage import Damage, DamageParams
from safelight.nodes.damage.donors import to_light, to_stops
from safelight.nodes.damage.repair import Repair, RepairParams
from tests.nodes.grain.scene import moving_scene

TWO = Device("cpu", 2)
SIGMA = 0.12
Pictures = dict[int, Image]


def pictures(frames: npt.NDArray[Any], channels: tuple[str, ...] = ("R", "G", "B")) -> Pictures:
    """Frames (n, C, H, W) as images whose data window starts at (3, -2)."""
    region = Region.sized(frames.shape[3], frames.shape[2], 3, -2)
    return {i: Image(np.ascontiguousarray(f, np.float32), region, channels, {"n": i}) for i, f in enumerate(frames)}


def grained(clean: npt.NDArray[Any], seed: int = 1) -> npt.NDArray[np.float32]:
    """Lay coarse grain of SIGMA stops over clean light."""
    grain = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=clean.shape), (0, 0, 0.6, 0.6))
    return to_light(to_stops(clean) + grain * (SIGMA / grain.std()))


def lay(images: Pictures, **params: Any) -> tuple[Pictures, Pictures]:
    """Damage pictures; return them and the truth mattes."""
    shown, mattes = {}, {}
    for frame, image in images.items():
        clip = Clip(min(images), max(images), image.region, image.region, channels=image.channels)
        request = Request(frame, image.region)
        out = Damage().compute(
            DamageParams(**params), request, Inputs(request, {"input": {frame: image}}, {"input": clip}), TWO
        )
        shown[frame], mattes[frame] = out["image"], out["matte"]
    return shown, mattes


def run(
    images: Pictures,
    mattes: Pictures,
    frame: int,
    device: Device = TWO,
    forensic: bool = False,
    others: Mapping[str, Pictures] | None = None,
    **settings: Any,
) -> Mapping[str, Image]:
    """Run the node on one frame as the engine does, with what frames there are."""
    node, params = Repair(), RepairParams(**settings)
    ports = {"source": images, "matte": mattes, **(others or {})}
    clips = {
        port: Clip(min(images), max(images), of[frame].region, of[frame].region, channels=of[frame].channels)
        for port, of in ports.items()
    }
    asked = [request.frame for request in node.analysis_requests(params, clips)]
    found = node.analyse(params, [(n, images[n]) for n in asked if n in images], clips, device)
    request = Request(frame, images[frame].region)
    needed = {
        port: {r.frame: ports[port][r.frame] for r in requests if r.frame in ports[port]}
        for port, requests in node.needs(params, request).items()
        if port in ports
    }
    inputs = Inputs(
        request,
        needed,
        clips,
        Settings(sections={"graph": {"forensic": forensic}}),
        prepared=lambda port, n: node.prepare(params, port, needed[port][n], device),
        analysis=json.loads(json.dumps(found)),
    )
    return node.compute(params, request, inputs, device)


def codes(out: Mapping[str, Image]) -> npt.NDArray[np.uint32]:
    return out["provenance"].data.view(np.uint32)[0]


def spot(images: Pictures, *boxes: tuple[int, int, int, int, int]) -> tuple[Pictures, Pictures]:
    """Black out boxes (frame, y0, x0, y1, x1); return pictures and mattes."""
    shown = {n: image.with_data(image.data.copy()) for n, image in images.items()}
    mattes = {n: Image(np.zeros((1, *i.data.shape[1:]), np.float32), i.region, ("A",)) for n, i in images.items()}
    for frame, y0, x0, y1, x1 in boxes:
        shown[frame].data[:, y0:y1, x0:x1] = 0.001
        mattes[frame].data[0, y0:y1, x0:x1] = 1
    return shown, mattes


def errors(out: Image, clean: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the mean error of each pixel after a 3 × 3 blur, in sigmas."""
    off = to_stops(out.data) - to_stops(clean)
    return np.abs(ndimage.uniform_filter(off, (0, 3, 3))).mean(0) / SIGMA


def assert_untouched(out: Mapping[str, Image], source: Image, matte: Image, reach: int = 3) -> None:
    """All pixels marked kept, and all beyond `reach` of the matte, have the source's bits."""
    same = (out["image"].data.view(np.uint32) == source.data.view(np.uint32)).all(0)
    assert same[codes(out) == 0].all()
    near = ndimage.maximum_filter(matte.data[0] >= 0.5, 2 * reach + 1, mode="constant", cval=0)
    assert same[~near].all() and (codes(out)[~near] == 0).all()


@cache
def moving() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Five frames of a pan with a disc against it: clean and grained light."""
    clean = ((moving_scene(5, 200, 300).transpose(0, 3, 1, 2) / 255) ** 2.2).astype(np.float32)
    return clean, grained(clean)


@cache
def resting() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Five frames of one picture, each with grain of its own."""
    first = ((moving_scene(1, 200, 300).transpose(0, 3, 1, 2) / 255) ** 2.2).astype(np.float32)
    clean = np.repeat(first, 5, axis=0)
    return clean, grained(clean)
