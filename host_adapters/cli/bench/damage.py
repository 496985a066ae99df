"""Damage laid over clean pictures with known truth: how much of it is found, how well it is repaired, how fast.

The set is open: the built-in Plate, and clips and templates of SAFELIGHT_TEST_DATA where that is set, damaged by the
node Damage with seeds that stand here. Grain (Regrain, 500T) is laid in after the damage, as by a scanner that is
noisier than it is: it is the same with and without damage. Rows stand for the nodes that are there.

Peers. Detection: the spike detector SDIp without motion compensation. Fills: OpenCV's inpainting (Telea; Navier-Stokes)
where OpenCV is installed, on 8-bit codes, as it takes no others. ffmpeg has no dust filter worth the name: its `median`
and `removegrain` stand in, and touch the whole picture.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Request
from safelight.graph.params import Params, param
from safelight.graph.provenance import bare, codes
from safelight.graph.region import Region
from safelight.graph.registry import Registry, default_registry
from safelight.graph.render import pull
from safelight.host_adapters.cli.bench import _damage_frames, _damage_hair, _damage_last_resort
from safelight.host_adapters.cli.bench._clips import plate, scene_linear, sequence
from safelight.host_adapters.cli.bench._damage_figures import Detection, Fill, Mask, sdip, stops, touched
from safelight.host_adapters.cli.bench._ffmpeg import ffmpeg
from safelight.host_adapters.cli.bench._peers import THREADS
from safelight.host_adapters.cli.bench.table import Row

DETECTORS = {"dust": "DirtDetect", "coloured dust": "DirtDetect", "scratches": "ScratchDetect"}
TARGETS = {"dust": 0.92, "coloured dust": 0.92, "scratches": 0.85}
VISIBLE = 0.2
"""Stops from which damage counts: the grain's sigma in midtones. What is fainter cannot be told from it."""
KINDS = {
    "dust": {"dust": 0.25, "bright": 0.25, "size": 4.0},
    "coloured dust": {"dust": 0.0, "coloured": 0.5, "size": 4.0},
    "scratches": {"dust": 0.0, "scratches": 4, "wandering": 4, "broken": 0.3, "scratch_opacity": 0.25},
    "obscured": {"dust": 0.0, "blotch_size": 40.0},
}
SDIP_SCALE = 0.5
"""Stops at which the naive spike detector is half sure: the best of 0.3, 0.4, 0.5, 0.7 and 1 on the Plate's dust."""
SCENES = ("redtree_pan", "flower_handheld")


class HeldParams(Params):
    """Parameters of Held."""

    name: str = param("", "Which clip.")


class Held(Node):
    """Stands for a reader: a clip in memory."""

    id = "BenchHeld"
    inputs = ()
    Params = HeldParams
    clips: ClassVar[dict[str, dict[int, Image]]] = {}

    def extent(self, params: HeldParams, inputs: Mapping[str, Clip]) -> Clip:
        """Say size, frames and channels."""
        images = self.clips[params.name]
        one = next(iter(images.values()))
        return Clip(min(images), max(images), one.region, one.region, channels=one.channels)

    def compute(self, params: HeldParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Hand on the frame."""
        return self.clips[params.name][request.frame].crop(request.region)


def registry() -> Registry:
    """Return the nodes there are, and `BenchHeld`."""
    made = Registry()
    for node in default_registry().values():
        made.add(type(node))
    made.add(Held)
    return made


def rendered(
    held: Mapping[str, dict[int, Image]],
    nodes: str,
    wanted: str,
    frames: Sequence[int] | None = None,
    *,
    record: bool = False,
) -> dict[int, Image]:
    """Render the node (or `node.output`) `wanted` of a few lines of TOML behind clips in memory, each a node."""
    return dict(_pulled(held, nodes, wanted, frames, record=record))


def _pulled(
    held: Mapping[str, dict[int, Image]],
    nodes: str,
    wanted: str,
    frames: Sequence[int] | None = None,
    *,
    record: bool = False,
) -> Iterator[tuple[int, Image]]:
    """Yield what `rendered` returns, frame by frame as it is made."""
    Held.clips = dict(held)
    heads = "".join(f'[nodes.{name}]\ntype = "BenchHeld"\nname = "{name}"\n' for name in held)
    graph = Graph.from_document(
        Document.parse(f"safelight = 1\n[graph]\nprovenance = {str(record).lower()}\n{heads}{nodes}", Path()),
        registry(),
    )
    node, _, output = wanted.partition(".")
    return pull(graph, node, output, frames, device=Device("cpu", THREADS))


@dataclass(frozen=True)
class Shot:
    """One clip of the set, frame by frame."""

    name: str
    clean: dict[int, Image]
    undamaged: dict[int, Image]
    """With its grain."""
    damaged: dict[int, Image]
    truth: dict[int, Image]
    margin: int = 1
    """Frames at each end that are not measured: half of their neighbours are missing."""

    @property
    def middle(self) -> list[int]:
        """Frames that are measured."""
        numbers = sorted(self.clean)
        return numbers[self.margin : len(numbers) - self.margin]

    def mask(self, frame: int) -> Mask:
        """Return where damage is visible."""
        return np.asarray(self.truth[frame].data[0] > 0)


GRAIN = '[nodes.grain]\ntype = "Regrain"\ninput = "{}"\nstock = "500T"\npitch = 12\n'


def damaged(name: str, clean: dict[int, Image], seed: int, params: Mapping[str, Any]) -> Shot:
    """Damage a clip and grain it."""
    entries = "".join(f"{key} = {value!r}\n" for key, value in params.items())
    laid = f'[nodes.laid]\ntype = "Damage"\ninput = "plate"\nseed = {seed}\n{entries}'
    held = {"plate": clean}
    return Shot(
        name,
        clean,
        rendered(held, GRAIN.format("plate"), "grain"),
        rendered(held, laid + GRAIN.format("laid"), "grain"),
        rendered(held, laid, "laid.matte"),
    )


def scenes(quick: bool) -> dict[str, dict[int, Image]]:
    """Return the clean clips, scene-linear, numbered from 0."""
    found = {"Plate": plate(5, 96, 160) if quick else plate(7, 540, 960)}
    for name in () if quick else SCENES:
        frames = sequence(name, 7)
        if frames is not None:
            light = scene_linear(frames)
            region = Region.sized(light.shape[3], light.shape[2])
            found[name] = dict(enumerate(Image(one, region) for one in light))
    return found


def blotches(frames: dict[int, Image]) -> float:
    """Return how many blotches of 40 pixels obscure a tenth of the picture."""
    return frames[0].region.area * 0.1 / 1500


def templates() -> dict[str, str]:
    """Return the parameter for the given shapes, where they are."""
    folder = Path(os.environ.get("SAFELIGHT_TEST_DATA", "/nowhere")) / "images" / "damage"
    return {"templates": str(folder)} if folder.is_dir() else {}


@dataclass
class _Counts:
    """What one kind of damage gave, over all shots."""

    ours: Detection = field(default_factory=Detection)
    naive: Detection = field(default_factory=Detection)
    false: list[float] = field(default_factory=list)


def detect(shot: Shot, plates: dict[int, Image], node: str) -> dict[int, Image]:
    """Return the matte that a detector makes of a clip."""
    text = f'[nodes.found]\ntype = "{node}"\ninput = "plate"\n'
    return rendered({"plate": plates}, text, "found.matte", shot.middle)


def _detection(kind: str, shots: Sequence[Shot], have: frozenset[str]) -> Iterator[Row]:
    counts, node = _Counts(), DETECTORS[kind]
    for shot in shots:
        mattes = detect(shot, shot.damaged, node) if node in have else {}
        for frame in shot.middle:
            around = [stops(shot.damaged[frame + step].data) for step in (-1, 0, 1)]
            changed = touched(shot.undamaged[frame].data, shot.damaged[frame].data)
            naive = sdip(around[0], around[1], around[2], SDIP_SCALE)
            counts.naive.add(naive, shot.mask(frame), changed)
            if mattes:
                counts.ours.add(mattes[frame].data[0].astype(np.float64), shot.mask(frame), changed)
        if node in have and kind != "coloured dust":  # undamaged, it is the same clip as for dust
            clear = detect(shot, shot.undamaged, node)
            counts.false += [float((clear[frame].data[0] >= 0.5).mean()) for frame in shot.middle]
    note = f"{len(shots)} shots ({', '.join(shot.name for shot in shots)}), outlines within 1 pixel"
    if node in have:
        precision, recall, both = counts.ours.at(0.5)
        yield Row(f"{kind}: {node}, precision", precision, "", note=f"matte ≥ 0.5; {note}")
        yield Row(f"{kind}: {node}, recall", recall, "")
        yield Row(f"{kind}: {node}, F1", both, "", f"≥ {TARGETS[kind]}", note=f"best level {counts.ours.best():.3f}")
        at = counts.ours.precision_at(0.9)
        yield Row(f"{kind}: {node}, precision at recall 0.90", at, "", "≥ 0.90" if kind != "scratches" else "")
    if counts.false:
        yield Row(f"{kind}: {node}, clean pixels marked", 100 * float(np.mean(counts.false)), "%", "< 0.005")
    if kind != "scratches":
        yield Row(f"{kind}: SDIp uncompensated, F1", counts.naive.best(), "", note=f"its best level; {note}")
        at = counts.naive.precision_at(0.9)
        yield Row(f"{kind}: SDIp uncompensated, precision at recall 0.90", at, "")


def repaired(shot: Shot, plates: dict[int, Image], mattes: dict[int, Image]) -> tuple[dict[int, Image], dict[int, Any]]:
    """Return what Repair makes of a clip under a matte, and its record of every pixel."""
    text = '[nodes.made]\ntype = "Repair"\ninputs = {source = "plate", matte = "matte"}\n'
    held = {"plate": plates, "matte": mattes}
    made = rendered(held, text, "made", shot.middle, record=True)
    return {frame: bare(image) for frame, image in made.items()}, {frame: codes(made[frame]) for frame in made}


def _fills(kind: str, shots: Sequence[Shot], have: frozenset[str]) -> Iterator[Row]:
    ours, broken, pixels = Fill(), 0, 0
    peers: dict[str, Fill] = {}
    for shot in shots:
        if "Repair" in have:
            made, record = repaired(shot, shot.damaged, shot.truth)
            for frame, image in made.items():
                ours.add(image.data, shot.undamaged[frame].data, shot.clean[frame].data, shot.mask(frame))
                # What the record calls kept must have the scan's bits, and what was not masked must be kept.
                changed = touched(shot.damaged[frame].data, image.data)
                broken += int((changed & (record[frame] == 0)).sum())
                pixels += changed.size
        for frame in shot.middle:
            for name, data in _inpainted(shot.damaged[frame], shot.mask(frame)):
                peer = peers.setdefault(name, Fill())
                peer.add(data, shot.undamaged[frame].data, shot.clean[frame].data, shot.mask(frame))
    goal = {"dust": "≥ 99", "obscured": "≥ 92", "scratches": "≥ 95"}.get(kind, "≥ 99")
    note = "under the true matte; mean error after 3 × 3 blur ≤ 2σ of the grain"
    if "Repair" in have:
        yield Row(f"{kind}: Repair, regions reconstructed", 100 * ours.reconstructed, "%", goal, note)
        yield Row(f"{kind}: Repair, PSNR of damaged pixels", ours.psnr, "dB")
        yield Row(f"{kind}: Repair, variance over surroundings'", ours.variance_ratio, "", "0.90 … 1.10")
        yield Row(f"{kind}: Repair, spectrum error", 100 * ours.spectrum_error, "%", "≤ 15")
        same = 100 * (1 - broken / max(1, pixels))
        yield Row(f"{kind}: Repair, pixels called kept bit-identical", same, "%", "100", f"of {pixels} pixels")
    for name, peer in peers.items():
        yield Row(f"{kind}: {name}, regions reconstructed", 100 * peer.reconstructed, "%", note=note)
        yield Row(f"{kind}: {name}, PSNR of damaged pixels", peer.psnr, "dB")
        yield Row(f"{kind}: {name}, variance over surroundings'", peer.variance_ratio, "")


def _inpainted(image: Image, mask: Mask) -> Iterator[tuple[str, Any]]:
    """Yield what OpenCV makes of a frame, put into the frame under the mask; nothing where OpenCV is not there."""
    if importlib.util.find_spec("cv2") is None:
        return
    cv2: Any = importlib.import_module("cv2")
    shown = np.clip(image.data, 0, 1) ** np.float32(1 / 2.4)
    codes = np.ascontiguousarray(np.rint(255 * shown).astype(np.uint8).transpose(1, 2, 0))
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    for name, flag in (("OpenCV Telea", cv2.INPAINT_TELEA), ("OpenCV Navier-Stokes", cv2.INPAINT_NS)):
        made = cv2.inpaint(codes, wide, 3, flag).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        yield name, np.where(wide > 0, made**2.4, image.data)


def _straw(shot: Shot, quick: bool) -> Iterator[Row]:
    """ffmpeg's filters that take dust with everything else."""
    if shutil.which("ffmpeg") is None:
        return
    codes = {
        name: np.stack([np.rint(255 * np.clip(one[i].data, 0, 1) ** (1 / 2.4)) for i in shot.middle]).astype(np.uint8)
        for name, one in (("damaged", shot.damaged), ("undamaged", shot.undamaged))
    }
    given, wanted = (np.ascontiguousarray(codes[name].transpose(0, 2, 3, 1)) for name in ("damaged", "undamaged"))
    truth = np.stack([shot.mask(i) for i in shot.middle])
    for chain in ("median=radius=2",) if quick else ("median=radius=2", "removegrain=m0=17:m1=17:m2=17"):
        out, _ = ffmpeg(given, f"format=gbrp,{chain}")
        error = (out.astype(np.float64) - wanted)[truth]
        psnr = 10 * np.log10(255**2 / np.mean(error**2))
        elsewhere = 100 * float((out != given).any(-1)[~truth].mean())
        note = f"no dust filter: it touched {elsewhere:.0f} % of the undamaged pixels"
        yield Row(f"dust: ffmpeg {chain.split('=')[0]}, PSNR of damaged pixels", float(psnr), "dB", note=note)


def _false_repairs(shots: Sequence[Shot], have: frozenset[str]) -> Iterator[Row]:
    if "Repair" not in have or "DirtDetect" not in have:
        return
    shares, outside = [], 0
    for shot in shots:
        for plates, clear in ((shot.undamaged, True), (shot.damaged, False)):
            found = detect(shot, plates, "DirtDetect")
            # Repair looks at neighbours' mattes only where it has them: the frames that are measured.
            part = {frame: plates[frame] for frame in shot.middle}
            made, record = repaired(shot, part, found)
            for frame, image in made.items():
                changed = touched(plates[frame].data, image.data)
                outside += int((changed & (record[frame] == 0)).sum())
                if clear:
                    shares.append(float(changed.mean()))
    yield Row("clean footage: pixels repaired", 100 * float(np.mean(shares)), "%", "< 0.005", "DirtDetect and Repair")
    yield Row("detected and repaired: pixels called kept but changed", outside, "", "0")


def _times(have: frozenset[str], quick: bool) -> Iterator[Row]:
    """Processor seconds of one frame in the middle, against Degrain's of two frames on each side."""
    if "DirtDetect" not in have:
        return
    sizes = [(96, 160), (192, 320)] if quick else [(540, 960), (1080, 1920)]
    taken: dict[tuple[str, int], list[float]] = {}
    both = "Repair" in have
    for height, width in sizes:
        # Two frames more than are asked of either node, and two again: the mattes around are found in the middle too.
        shot = damaged("Plate", plate(10, height, width), 5, KINDS["dust"])
        found = '[nodes.found]\ntype = "DirtDetect"\ninput = "plate"\n'
        fill = '[nodes.made]\ntype = "Repair"\ninputs = {source = "plate", matte = "found.matte"}\n' if both else ""
        degrain = '[nodes.clean]\ntype = "Degrain"\ninput = "plate"\nnoise = "manual"\nsigma = 0.2\n'
        jobs = {"ours": (found + fill, "made" if both else "found.matte"), "Degrain": (degrain, "clean")}
        for _ in range(1 if quick else 3):
            for name, (text, wanted) in jobs.items():
                # Three frames after the first: what happens once a shot, or once a window, is not counted.
                made = _pulled({"plate": shot.damaged}, text, wanted, [2, 3, 4, 5])
                at = [time.process_time() for _ in made]
                taken.setdefault((name, height), []).append((at[-1] - at[0]) / 3)
    seconds = {job: max(1e-6, float(np.median(one))) for job, one in taken.items()}
    small, large = (height for height, _ in sizes)
    what = "detect and repair" if both else "detect"
    note = f"processor time, {sizes[1][1]}x{sizes[1][0]}, in the middle of a shot"
    yield Row(f"{what}: a frame", 1e3 * seconds["ours", large], "ms", note=note)
    yield Row("Degrain, radius 2: a frame", 1e3 * seconds["Degrain", large], "ms", note=note)
    ratio = seconds["ours", large] / seconds["Degrain", large]
    yield Row(f"{what} over Degrain", ratio, "×", "≤ 2")
    linear = seconds["ours", large] / seconds["ours", small] / 4
    yield Row(f"{what}: time a pixel, over that at a quarter of the size", linear, "×", "about 1")


def run(*, quick: bool) -> list[Row]:
    """Measure; `quick` for a smoke test on a small scene."""
    have, clean = frozenset(registry()), scenes(quick)
    rows: list[Row] = []
    for at, (kind, params) in enumerate(KINDS.items()):
        extra = templates() if kind != "scratches" and not quick else {}
        shots = []
        for i, (name, frames) in enumerate(clean.items()):
            # Real shapes on every second scene, drawn ones on the others.
            more = {
                "visibility": VISIBLE,
                **(extra if i % 2 else {}),
                **({"blotches": blotches(frames)} if kind == "obscured" else {}),
            }
            shots.append(damaged(name, frames, 100 + 10 * at + i, {**params, **more}))
        share = 100 * float(np.mean([shot.mask(frame).mean() for shot in shots for frame in shot.middle]))
        rows.append(
            Row(
                f"{kind}: part of the picture",
                share,
                "%",
                note=f"changed by {VISIBLE} stops or more, the grain's sigma; 500T at 2K over all",
            )
        )
        if kind in DETECTORS:
            rows += _detection(kind, shots, have)
        rows += _fills(kind, shots, have)
        if kind == "dust":
            rows += _straw(shots[0], quick)
            rows += _false_repairs(shots, have)
    rows += _damage_hair.rows(clean, VISIBLE, have, damaged, detect, repaired, quick=quick)
    rows += _damage_last_resort.rows(VISIBLE, damaged, rendered, _inpainted, quick=quick)
    rows += _times(have, quick)
    rows += _damage_frames.rows(rendered, GRAIN, quick=quick)
    return rows
