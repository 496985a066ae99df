"""Deblock's net, trained: luma through codecs, cleaned as the node does, and what there was.

    python -m safelight.nodes.resolution.learned.training.deblocking FOLDER OUT.safetensors

FOLDER holds display-referred pictures (PNG, WebP); OUT gets 16 bits a weight. A twentieth of the pictures is only
looked at. Where ffmpeg is at hand its own MJPEG and MPEG-2 encoders are among the codecs; else the same arithmetic
(`deblock_training.quantised`). Unfinished, it goes on where it was, from OUT.checkpoint.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.region import Region
from safelight.nodes.resolution.blocks import LOWEST, Axis, Blocks, grid, quantiser, steps
from safelight.nodes.resolution.deblock import luma_cleaned
from safelight.nodes.resolution.deblock_training import MATRIX, quantised
from safelight.nodes.resolution.learned.deblocking import (
    BLOCK,
    Shape,
    Stored,
    added,
    centre,
    corrected,
    fresh,
    save,
    told,
)
from safelight.nodes.resolution.learned.training.loop import Course
from safelight.nodes.resolution.learned.training.muon import orthogonal
from safelight.nodes.resolution.learned.training.pictures import DISPLAY, found

if TYPE_CHECKING:
    import torch

Codes = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

CODECS = {"mjpeg": 0.2, "mpeg2video": 0.2, "quantised": 0.15, "jpeg": 0.1, "movie": 0.35}
"""Shares of pictures. `quantised`: a video encoder's dead zone at any scale; `jpeg`: still pictures, other matrices;
`movie`: frames predicted from others."""
MOVIES = {
    "mpeg2video": ("-g 12 -bf 2", float(np.median([MATRIX[8 * v + u] for v, u in LOWEST])) / 8),
    "mpeg4": ("-g 12", 2.0),
}
"""Codecs of movies: ffmpeg's options, and the step of a key frame's lowest coefficients at a scale of 1."""
FRAMES = 8
TRAVEL = 20
"""Pixels that a camera moves at most along an axis, from the first frame of a movie to the last."""
NOISE = 2.0
"""Most grain of a movie, standard deviation in codes: each frame has its own, and it is picture."""
SCALES = (3.0, 31.0)
QUALITIES = (15, 90)
HEIGHT, WIDTH = 384, 512
"""Most of a picture that is coded at once."""
LINES = 500
"""Large pictures are reduced to about that many first, so that no older codec left anything in them."""
WRONG = 0.1
"""By how much the step is misread, standard deviation of its logarithm, on top of what the node misreads it."""
BORDER = 8
"""Pixels along a patch's edges that do not count: they are half seen."""
LEAST = 0.1
"""Error of a pair, in fifths of the step, that counts at least."""
FINEST, COARSEST = 1.5, 18.0
"""Fifths of a step, in codes, that pictures are shown from and up to."""
COARSE = 3.0
"""Fifths of a step under which pictures are shown the less often the finer they are: their grids are seldom found."""
HELD = 20
"""One picture in so many is only looked at."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out, apart from the pictures."""

    shape: Shape = field(default_factory=Shape)
    steps: int = 30000
    batch: int = 8
    side: int = 96
    rate: float = 0.013
    """Of `muon.orthogonal`: about 1/17 of it is the mean change of a weight."""
    squares: float = 1.0
    """All of the steps: what is aimed at is PSNR."""
    codings: int = 5
    """Of each picture, each through another codec, at another scale, of another part."""
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Pair:
    """Luma of a part of a picture in 8-bit codes, whose first block begins at (0, 0)."""

    truth: Codes
    coded: Codes
    smooth: Plane
    size: float
    """A fifth of the quantiser's step, as the node found it."""
    sure: bool = False
    """Whether that is right whatever the picture shows."""

    @property
    def error(self) -> float:
        """Root mean square error of the classical result, in those fifths."""
        return float(np.sqrt(np.mean(np.square(self.smooth - self.truth, dtype=np.float64)))) / self.size

    @property
    def typical(self) -> bool:
        """Tell whether the step was read about right: where the classical result is worse than nothing, it was not, and
        a net would learn little else than to undo that."""
        coded = np.sqrt(np.mean(np.square(self.coded - self.truth.astype(np.float64)))) / self.size
        return (self.sure or self.error < coded) and FINEST < self.size < COARSEST


def through(luma: Codes, codec: str, scale: float, quality: int) -> tuple[Codes, float]:
    """Return luma, (H, W) of multiples of 16, through a codec, and the median step of its lowest coefficients; without
    ffmpeg, and of a `movie` too small for its camera to move, as `quantised`."""
    lowest = 8 * MOVIES["mpeg2video"][1]
    if codec == "jpeg":
        packed = io.BytesIO()
        Picture.fromarray(luma).save(packed, "JPEG", quality=quality)
        with Picture.open(packed) as opened:
            # Pillow's tables are in reading order.
            table = opened.quantization[0]  # type: ignore[attr-defined]
            return np.array(opened.convert("L")), float(np.median([table[8 * v + u] for v, u in LOWEST]))
    if codec in ("quantised", "movie") or shutil.which("ffmpeg") is None:
        return quantised(luma.astype(np.float32), scale).astype(np.uint8), lowest * scale / 8
    h, w = luma.shape
    whole = round(scale)
    form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    raw = luma.tobytes() + bytes([128]) * (h * w // 2)
    packed_ = _ffmpeg(raw, f"-f rawvideo -pix_fmt {form} -s {w}x{h} -i - -c:v {codec} -g 1 -q:v {whole} -f nut -")
    done = _ffmpeg(packed_, f"-f nut -i - -pix_fmt {form} -f rawvideo -")
    return np.frombuffer(done[: h * w], np.uint8).reshape(h, w), lowest * whole / 8


def predicted(luma: Codes, scale: float, random: np.random.Generator) -> tuple[Codes, Codes, float]:
    """Return a frame of a movie, in which a camera moves over a picture, as it was and as the codec predicted it from
    others, and the step of the key frame's lowest coefficients, which the node reads off that."""
    ways = random.uniform(-1, 1, 2) * TRAVEL * (random.random() > 0.2)
    h, w = ((size - TRAVEL - 1) // 16 * 16 for size in luma.shape)
    grain = random.uniform(0, NOISE) * (random.random() < 0.5)
    picture, frames = Picture.fromarray(luma), []
    for k in range(FRAMES):
        y, x = (max(0.0, -way) + way * k / (FRAMES - 1) for way in ways)
        seen = picture.transform((w, h), Picture.Transform.AFFINE, (1, 0, x, 0, 1, y), Picture.Resampling.BICUBIC)
        frames.append(np.rint(np.asarray(seen) + random.normal(0, grain, (h, w))).clip(0, 255).astype(np.uint8))
    codec = str(random.choice(list(MOVIES)))
    options, lowest = MOVIES[codec]
    form, whole = f"-pix_fmt yuv420p -s {w}x{h}", round(scale)
    raw = b"".join(frame.tobytes() + bytes([128]) * (h * w // 2) for frame in frames)
    packed = _ffmpeg(raw, f"-f rawvideo {form} -i - -c:v {codec} {options} -q:v {whole} -f nut -")
    done = np.frombuffer(_ffmpeg(packed, "-f nut -i - -pix_fmt yuv420p -f rawvideo -"), np.uint8)
    at = int(random.integers(1, FRAMES))
    return frames[at], done.reshape(FRAMES, -1)[at, : h * w].reshape(h, w), lowest * whole


def _ffmpeg(data: bytes, arguments: str) -> bytes:
    command = ["ffmpeg", "-v", "error", "-threads", "1", *arguments.split()]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def pairs(files: Sequence[Path], codings: int, seed: int, device: Device) -> Iterator[Pair]:
    """Yield parts of pictures, coded, and cleaned by the node's own functions, with the step that they find.

    Each is cut a few pixels off the codec's grid before it is cleaned, as a shot may be, and to whole blocks after.
    """
    for number, file in enumerate(files):
        random = np.random.default_rng([seed, number])
        with Picture.open(file) as opened:
            picture = opened.convert("RGB")
        picture = picture.reduce(max(1, min(picture.size) // LINES))
        whole = np.asarray(picture.convert("L"))
        h, w = (min(most, size // 16 * 16) for most, size in zip((HEIGHT, WIDTH), whole.shape, strict=True))
        for _ in range(codings):
            y, x = (int(random.integers(size - part + 1)) for size, part in zip(whole.shape, (h, w), strict=True))
            truth = whole[y : y + h, x : x + w]
            if random.random() < 0.3:
                level = random.uniform(0, 60)
                truth = np.rint(truth * random.uniform(0.6, 1 - level / 255) + level).clip(0, 255).astype(np.uint8)
            codec = str(random.choice(list(CODECS), p=list(CODECS.values())))
            scale = float(np.exp(random.uniform(*np.log(SCALES))))
            movie = codec == "movie" and min(truth.shape) > 2 * TRAVEL and shutil.which("ffmpeg") is not None
            if movie:
                truth, coded, step = predicted(truth, scale, random)
            else:
                coded, step = through(np.ascontiguousarray(truth), codec, scale, int(random.integers(*QUALITIES)))
            cut = tuple(int(n) for n in random.integers(0, BLOCK, 2))
            wrong = float(np.exp(random.normal(0, WRONG)))
            yield _cleaned(truth, coded, cut, step, wrong, device, seen=not movie)


def _cleaned(truth: Codes, coded: Codes, cut: Any, step: float, wrong: float, device: Device, *, seen: bool) -> Pair:
    """Return a pair, the step as the node would read it off this picture, or, not `seen` there, as it is."""
    luma = np.ascontiguousarray(coded[cut[0] :, cut[1] :], np.float32)
    begins = [-n % BLOCK for n in cut]
    blocks = Blocks(grid(steps(luma, 1)), grid(steps(luma, 0)), quantiser(luma, begins[1], begins[0]))
    phases = (blocks.x.phase, blocks.y.phase)
    if not (seen and blocks.found and blocks.x.period == blocks.y.period == BLOCK and phases == (begins[1], begins[0])):
        y, x = (Axis(float(BLOCK), float(at), 0.0, 0.0) for at in begins)
        blocks = Blocks(x, y, step)
        size = step / 5
    else:
        size = blocks.step
    size *= wrong
    smooth = luma_cleaned(luma, Region.sized(luma.shape[1], luma.shape[0]), blocks, size, device)
    h, w = ((n - at) // BLOCK * BLOCK for n, at in zip(luma.shape, begins, strict=True))
    own = slice(begins[0], begins[0] + h), slice(begins[1], begins[1] + w)
    return Pair(
        truth[cut[0] :, cut[1] :][own].copy(),
        coded[cut[0] :, cut[1] :][own].copy(),
        np.ascontiguousarray(smooth[own]),
        size,
        not seen,
    )


class Deblocking(Course):
    """The net in training, on pairs as `pairs` makes them; `held` are only looked at."""

    def __init__(
        self, recipe: Recipe, shown: Sequence[Pair], held: Sequence[Pair], start: Mapping[str, Any] | None = None
    ) -> None:
        self._plan, self._held = recipe, list(held)
        self._shown = [pair for pair in shown if min(pair.truth.shape) >= recipe.side]
        self._errors = np.array([max(pair.error, LEAST) for pair in self._shown], np.float32)
        areas = np.array([pair.truth.size * min(pair.size / COARSE, 1) for pair in self._shown], np.float64)
        self._odds = areas / areas.sum()
        super().__init__(recipe, start or fresh(recipe.shape, recipe.seed), np.random.default_rng(recipe.seed), "cpu")
        self._optimiser = orthogonal(self.weights.values(), recipe.rate)

    def batch(self) -> tuple[Plane, Plane, Plane]:
        """Return (batch, 3, side, side), as coded, cleaned and as it was, turned and mirrored about the grid; and of
        each a fifth of the step and the error of its pair, (batch, 1, 1, 1)."""
        random, side, count = self._random, self._plan.side, self._plan.batch
        made = np.empty((count, 3, side, side), np.float32)
        chosen = random.choice(len(self._shown), count, p=self._odds)
        for k, pair in enumerate(self._shown[int(which)] for which in chosen):
            y, x = (int(random.integers((n - side) // BLOCK + 1)) * BLOCK for n in pair.truth.shape)
            part = slice(y, y + side), slice(x, x + side)
            stacked = np.stack([pair.coded[part], pair.smooth[part], pair.truth[part]]).astype(np.float32)
            turns = int(random.integers(8))
            if turns & 4:
                stacked = stacked.transpose(0, 2, 1)
            made[k] = np.rot90(stacked, turns & 3, (1, 2))
        sizes = np.array([self._shown[int(which)].size for which in chosen], np.float32)
        return made, sizes.reshape(-1, 1, 1, 1), self._errors[chosen].reshape(-1, 1, 1, 1)

    def loss(self, squared: bool) -> tuple[torch.Tensor, float]:
        """Return the error over that of the classical result of the same pair: figures in dB weigh pictures alike."""
        import torch

        planes, size, classical = (torch.from_numpy(a) for a in self.batch())
        coded, smooth, truth = (planes[:, k : k + 1] for k in range(3))
        x = told(coded, smooth, size).contiguous(memory_format=torch.channels_last)
        error = (added(self.weights, x, padding=1) - (truth - smooth) / size) / classical
        error = error[..., BORDER:-BORDER, BORDER:-BORDER]
        loss = error.square().mean() if squared else error.abs().mean()
        return loss, float(error.detach().abs().mean())

    def score(self) -> float | None:
        """Return the mean gain over the classical result on the held-out pictures, dB."""
        net = Stored(self._plan.shape, {name: value.numpy() for name, value in self.mean.items()})
        return gain(net, self._held) if self._held else None

    def hold(self) -> None:
        """Keep the first kernels' sums at 0."""
        centre(self.weights)


def gain(net: Stored, judged: Sequence[Pair]) -> float:
    """Return by how many dB of PSNR a net's results are better than the classical ones, mean of the pairs."""
    one = Device("cpu", 1)
    found = []
    for pair in judged:
        made = corrected(net, pair.coded.astype(np.float32), pair.smooth, pair.size, (0, 0), one)
        errors = [np.mean(np.square(plane.astype(np.float64) - pair.truth)) for plane in (pair.smooth, made)]
        found.append(10 * np.log10(max(errors[0], 1e-9) / max(errors[1], 1e-9)))
    return float(np.mean(found))


def train(folder: Path, out: Path, recipe: Recipe | None = None) -> float | None:
    """Train from a folder and write the weights; return the gain on the pictures held out, dB."""
    import torch

    recipe = recipe or Recipe()
    torch.set_num_threads(1)
    files = [file for file in found(folder) if file.suffix.casefold() in DISPLAY]
    if not files:
        raise GraphError("no display-referred picture in it", file=folder, remedy=f"Use {', '.join(DISPLAY)}.")
    held = files[HELD // 2 - 1 :: HELD]
    shown = [file for file in files if file not in held]
    device = Device("cpu", 1)
    read, judges = (
        [pair for pair in pairs(part, recipe.codings, seed, device) if pair.typical]
        for part, seed in ((shown, recipe.seed), (held, recipe.seed + 7919))
    )
    if not any(min(pair.truth.shape) >= recipe.side for pair in read):
        raise GraphError(
            "no picture is large enough to train on", file=folder, remedy="Use pictures of 120 pixels or more."
        )
    course = Deblocking(recipe, read, judges)
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    if checkpoint.exists():
        course.load(checkpoint)
    state = course.run(
        checkpoint=checkpoint,
        tell=lambda state: print(
            f"step {state.step}/{recipe.steps}, error {state.losses[-1][1]:.4f}, "
            + (f"held out {state.scores[-1][1]:+.3f} dB" if state.scores else "nothing held out"),
            file=sys.stderr,
            flush=True,
        ),
    )
    notes = {
        "steps": state.step,
        "seed": recipe.seed,
        "pictures": [file.name for file in shown],
        "held out": [file.name for file in held],
    }
    save(out, Stored(recipe.shape, {name: value.numpy() for name, value in course.mean.items()}, notes))
    checkpoint.unlink(missing_ok=True)
    return state.scores[-1][1] if state.scores else None


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    try:
        print(f"held-out pictures {train(Path(sys.argv[1]), Path(sys.argv[2]))} dB over the classical result")
    except GraphError as error:
        raise SystemExit(str(error)) from None
