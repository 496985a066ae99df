"""Deblock, with its net too, beside ffmpeg's filters: key frames of Kodak's pictures, and movies whose frames are
predicted from each other; else frames of the Plate."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench._clips import display, plate, sequence
from safelight.host_adapters.cli.bench._resolution_classical import pictures
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.resolution.blocks import Blocks
from safelight.nodes.resolution.deblock import Deblock, DeblockParams, excess
from safelight.nodes.resolution.deblock_training import quantised

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

SCALES = {"fine": 8, "middling": 16, "coarse": 28}
MOVIES = {
    "MPEG-2, quantiser 3": "mpeg2video -q:v 3 -g 12 -bf 2",
    "MPEG-2, quantiser 8": "mpeg2video -q:v 8 -g 12 -bf 2",
    "MPEG-2, 1 Mbit/s": "mpeg2video -b:v 1000k -maxrate 1500k -bufsize 800k -g 12 -bf 2 -mbd rd -lumi_mask 0.1",
    "MPEG-4, quantiser 8": "mpeg4 -q:v 8 -g 24 -bf 0",
}
"""What ffmpeg is told: frames predicted from one another; at a rate the quantiser changes from frame to frame, and with
what is in a macroblock."""
LEAD = 12
"""Frames of a movie that are not judged: a coder at a given rate needs a while to find its quantiser."""
SEARCH = {
    "fspp": [f"fspp=quality=5:qp={qp}:strength={s}" for qp in (4, 8, 14, 20, 28) for s in (-8, 0, 8)],
    "pp7": [f"pp7=qp={qp}:mode={mode}" for qp in (4, 8, 14, 20, 28) for mode in ("hard", "medium", "soft")],
    "deblock": [
        f"deblock=filter={kind}:block=8:alpha={a}:beta={a / 2}:gamma={a / 2}:delta={a / 2}"
        for kind in ("weak", "strong")
        for a in (0.05, 0.1, 0.2)
    ],
}
"""ffmpeg's filters at settings of which the best is chosen by the truth: no user can choose as well."""
DEVICE = Device("cpu", 2)


def rows(quick: bool) -> list[Row]:
    """Measure."""
    chosen = [np.asarray(Picture.fromarray(picture).convert("L")) for picture in pictures(quick)[:: 1 if quick else 4]]
    chosen = [_cut(plane, 320, 512) for plane in chosen]
    return [*_stills(chosen, quick), *_movies(quick), *_speed(chosen, quick)]


def _cut(plane: Codes, height: int, width: int) -> Codes:
    h, w = (min(most, size) // 16 * 16 for most, size in zip((height, width), plane.shape, strict=True))
    return np.ascontiguousarray(plane[:h, :w])


# --- codecs ----------------------------------------------------------------------------------------------------------


def coded(frames: Sequence[Codes], codec: str) -> list[Codes]:
    """Return luma through a codec of ffmpeg's, named as its command line has it, with its options."""
    h, w = frames[0].shape
    form = "yuvj420p" if codec.startswith("mjpeg") else "yuv420p"
    packed = _ffmpeg(_raw(frames), f"-f rawvideo -pix_fmt {form} -s {w}x{h} -i - -c:v {codec} -f nut -")
    return _planes(_ffmpeg(packed, f"-f nut -i - -pix_fmt {form} -f rawvideo -"), h, w)


def _filtered(frames: Sequence[Codes], chain: str) -> list[Codes]:
    h, w = frames[0].shape
    made = _ffmpeg(_raw(frames), f"-f rawvideo -pix_fmt yuv420p -s {w}x{h} -i - -vf {chain} -f rawvideo -")
    return _planes(made, h, w)


def _raw(frames: Sequence[Codes]) -> bytes:
    grey = bytes([128]) * (frames[0].size // 2)
    return b"".join(frame.tobytes() + grey for frame in frames)


def _planes(raw: bytes, height: int, width: int) -> list[Codes]:
    whole = np.frombuffer(raw, np.uint8).reshape(-1, height * width * 3 // 2)
    return [frame[: height * width].reshape(height, width) for frame in whole]


def _ffmpeg(data: bytes, arguments: str) -> bytes:
    command = ["ffmpeg", "-v", "error", "-threads", "1", *arguments.split()]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


# --- Deblock ---------------------------------------------------------------------------------------------------------


class Shot:
    """Frames of luma, as an analysis is handed them."""

    settings = Settings()

    def __init__(self, frames: Sequence[Codes]) -> None:
        self.region = Region.sized(frames[0].shape[1], frames[0].shape[0])
        self._frames = frames

    def image(self, frame: int) -> Image:
        """Return a frame, counted from 1."""
        return Image(self._frames[frame - 1][None].astype(np.float32) / np.float32(255), self.region, ("Y",))

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        clip = {"input": Clip(1, len(self._frames), self.region, self.region, channels=("Y",))}
        return ((at.frame, self.image(at.frame)) for at in Deblock().analysis_requests(DeblockParams(), clip))

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        """Return the same."""
        return iter(self)


def deblocked(frames: Sequence[Codes], method: str) -> tuple[list[Floats], Mapping[str, Any]]:
    """Return a shot's luma without its blocks, 0 to 255, and what was found in it."""
    shot, params = Shot(frames), _params(method)
    clip = Clip(1, len(frames), shot.region, shot.region, channels=("Y",))
    found = Deblock().analyse(params, shot, {"input": clip}, DEVICE)
    made = (_once(shot, frame, params, found) for frame in range(1, len(frames) + 1))
    return [np.asarray(image.data[0] * 255.0, np.float64) for image in made], found


def _params(method: str) -> DeblockParams:
    return DeblockParams.model_validate({"values": "coded", "method": method})


def _once(shot: Shot, frame: int, params: DeblockParams, found: Mapping[str, Any]) -> Image:
    request = Request(frame, shot.region)
    inputs = Inputs(request, {"input": {frame: shot.image(frame)}}, {}, analysis=found)
    return Deblock().compute(params, request, inputs, DEVICE)


def _ways() -> Mapping[str, str]:
    """Return Deblock's methods by the name of their rows: the net where it can run."""
    learned = all(importlib.util.find_spec(name) is not None for name in ("torch", "safetensors"))
    return {"Deblock": "classical", "Deblock's net": "net"} if learned else {"Deblock": "classical"}


# --- figures ---------------------------------------------------------------------------------------------------------


def _stills(chosen: Sequence[Codes], quick: bool) -> Iterator[Row]:
    for codec in ("mjpeg",) if quick else ("mjpeg", "mpeg2video"):
        for name, scale in SCALES.items():
            shots = [[_key(plane, codec, scale)] for plane in chosen]
            note = f"{len(chosen)} pictures, luma, key frames at scale {scale}"
            yield from _compared(shots, [[plane] for plane in chosen], f"{codec} {name}", note, quick)


def _key(luma: Codes, codec: str, scale: int) -> Codes:
    """Return luma through a codec as a key frame; without ffmpeg, through the same arithmetic."""
    if shutil.which("ffmpeg") is None:
        return quantised(luma.astype(np.float32), scale).astype(np.uint8)
    return coded([luma], f"{codec} -g 1 -q:v {scale}")[0]


def _movies(quick: bool) -> Iterator[Row]:
    """Judge real shots, to and fro so that they are long enough, or the Plate; nothing without ffmpeg."""
    if shutil.which("ffmpeg") is None:
        return
    clips = {} if quick else {name: sequence(name, 14) for name in ("redtree_pan", "flower_handheld")}
    found = {name: clip for name, clip in clips.items() if clip is not None}
    for name, clip in (found or {"the Plate": display(plate(8, 160, 240))}).items():
        once = [_cut(np.asarray(Picture.fromarray(frame).convert("L")), 400, 640) for frame in clip]
        truth = [*once, *once[-2::-1]]
        for label, codec in list(MOVIES.items())[: 1 if quick else None]:
            given = coded(truth, codec)
            note = f"{name}, frames from {LEAD + 1} to {len(truth)}, luma"
            yield from _compared([given], [truth], f"{label}, {name}", note, quick, LEAD)


def _compared(
    given: Sequence[Sequence[Codes]], truth: Sequence[Sequence[Codes]], name: str, note: str, quick: bool, lead: int = 0
) -> Iterator[Row]:
    """Judge shots as coded, after the first `lead` frames of each, by those they were coded from."""
    was = _scores(given, truth, lead)
    note = f"{note}, coded {np.mean(was):.2f} dB"
    gains: dict[str, float] = {}
    for way, method in _ways().items():
        made = [deblocked(shot, method) for shot in given]
        each = np.subtract(_scores([frames for frames, _ in made], truth, lead), was)
        gains[way] = float(np.mean(each))
        yield Row(f"{way}, {name}: gain", gains[way], "dB", note=f"{note}; least {each.min():+.2f} dB")
        cut = [
            _cut_by(frames[lead:], shot[lead:], whole[lead:], found)
            for (frames, found), shot, whole in zip(made, given, truth, strict=True)
        ]
        yield Row(f"{way}, {name}: excess at block edges cut", 100 * float(np.mean(cut)), "%", "≥ 90 %")
    if shutil.which("ffmpeg") is None:
        return
    best: list[tuple[float, str]] = []
    for family, chains in SEARCH.items():
        for chain in chains[:2] if quick else chains:
            try:
                scores = _scores([_filtered(shot, chain) for shot in given], truth, lead)
            except subprocess.CalledProcessError:  # a build without that filter
                break
            best.append((float(np.mean(np.subtract(scores, was))), f"{family}: {chain}"))
    if best:
        gain, which = max(best)
        yield Row(f"ffmpeg's best, {name}: gain", gain, "dB", note=which)
        for way, own in gains.items():
            yield Row(f"{way} over it, {name}", own - gain, "dB", "≥ 0.5 dB")


def _scores(shots: Sequence[Sequence[Any]], truth: Sequence[Sequence[Codes]], lead: int) -> list[float]:
    return [
        float(10 * np.log10(255**2 / np.mean((np.asarray(plane, np.float64) - whole) ** 2)))
        for shot, wholes in zip(shots, truth, strict=True)
        for plane, whole in list(zip(shot, wholes, strict=True))[lead:]
    ]


def _cut_by(made: Sequence[Any], given: Sequence[Codes], truth: Sequence[Codes], found: Mapping[str, Any]) -> float:
    """Return the share of the excess at the grid's edges, over the original's, that is gone from a shot."""
    blocks, region = Blocks.from_data(found), Region.sized(given[0].shape[1], given[0].shape[0])
    left, before, none = (
        float(np.mean([excess(np.asarray(plane, np.float64), region, blocks) for plane in shot]))
        for shot in (made, given, truth)
    )
    return 1 - abs(left - none) / max(before - none, 1e-9)


def _speed(chosen: Sequence[Codes], quick: bool) -> Iterator[Row]:
    h, w = (160, 240) if quick else (1080, 1920)
    plane = chosen[0]
    tiled = np.tile(plane, (-(-h // plane.shape[0]), -(-w // plane.shape[1])))[:h, :w]
    codes = quantised(tiled[: h // 8 * 8].astype(np.float32), 16).astype(np.uint8)
    found = deblocked([codes[:320, :512]], "classical")[1]
    shot, spent = Shot([codes]), {}
    for way, method in _ways().items():
        work = partial(_once, shot, 1, _params(method), found)
        work()
        spent[way] = _seconds(work)
        note = f"processor time of a frame of luma, {w}×{h}, grid known"
        yield Row(f"{way}: a frame", spent[way], "s", note=note)
    if len(spent) > 1:
        first, second = spent.values()
        yield Row("Deblock's net over Deblock: time", second / first, "×")


def _seconds(work: partial[Image]) -> float:
    spent = []
    for _ in range(3):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return float(np.median(spent))
