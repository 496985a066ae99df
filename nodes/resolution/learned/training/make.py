"""From a folder of pictures to a file of weights: what `safelight train` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned import storing
from safelight.nodes.resolution.learned.models import FOLDER, SHIPPED, available
from safelight.nodes.resolution.learned.nets import Shape
from safelight.nodes.resolution.learned.sampling import enlarged
from safelight.nodes.resolution.learned.training.degrade import KINDS
from safelight.nodes.resolution.learned.training.drawn import drawings
from safelight.nodes.resolution.learned.training.loop import Course, State, Training, enlarge, entering
from safelight.nodes.resolution.learned.training.patches import SIZES, FilmPatches, Patches, pairs, reduced_by, split
from safelight.nodes.resolution.learned.training.pictures import Picture, found, psnr
from safelight.nodes.resolution.learned.training.recipes import GROWN, NETS, STEPS, WORN, grown, recipe

RESERVE = 1.25
"""8-bit steps reach so far over the largest value seen: other pictures may have larger ones."""


@dataclass(frozen=True)
class Job:
    """What to train, on what, and where it goes."""

    folder: Path
    out: Path
    net: str = "fast"
    scale: int = 2
    degradation: str | None = None
    """By default what the recipe says: `film` for nets that repair."""
    start: Path | None = None
    """Weights to begin as; by default those that the recipe names."""
    test: Path | None = None
    """Pictures to judge the finished net by; never trained on."""
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    half: bool = False
    """Write 16 bits a weight."""

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training lies."""
        return self.out.with_name(f"{self.out.name}.checkpoint")


@dataclass(frozen=True)
class Made:
    """What came out."""

    state: State
    finished: bool
    parameters: int
    pictures: int
    held: float
    """PSNR on the held-out pictures, dB, and what `base` has there."""
    held_base: float
    test: float | None
    test_base: float | None
    base: str = "Lanczos"
    """What the net adds to."""


def ready(job: Job) -> None:
    """Set torch up for a job, or refuse: without torch, or without the device."""
    available()
    import torch

    if job.device == "cuda" and not torch.cuda.is_available():
        raise GraphError("this torch sees no CUDA device", remedy="Use --device cpu, or mend the installation.")
    torch.set_num_threads(job.threads)


def trained(training: Course, job: Job, tell: Callable[[State, int], None], steps: int) -> State:
    """Train to the end, from where the checkpoint stands; interrupted, keep one."""
    if job.checkpoint.exists():
        training.load(job.checkpoint)
    job.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        return training.run(minutes=job.minutes, checkpoint=job.checkpoint, tell=lambda state: tell(state, steps))
    except KeyboardInterrupt:
        training.save(job.checkpoint)
        raise


def make(job: Job, tell: Callable[[State, int], None]) -> Made:
    """Train, or go on training; write the weights. `tell` gets the state and the number of steps, now and then.

    Raises
    ------
    GraphError
        No pictures, none large enough, unreadable ones; a checkpoint of something else; weights that do not fit.
    """
    worn = job.degradation or WORN.get(job.net, "bicubic")
    if (job.net, job.scale) not in STEPS or worn not in KINDS:
        raise GraphError(
            f"there is no recipe for '{job.net}', {job.scale} times, and '{worn}'",
            remedy=f"Nets: {', '.join(NETS)} (restore: 2 times). Degradations: {', '.join(KINDS)}.",
        )
    ready(job)
    plan = recipe(job.net, job.scale, steps=job.steps, seed=job.seed, worn=worn)
    shown, held = split(found(job.folder))

    def read(files: Sequence[Path]) -> list[Picture]:
        made = pairs(files, job.scale, degradation=worn, planes=plan.shape.planes, seed=job.seed)
        return [picture for _, picture in made]

    film = worn == "film"
    # What is learned from is worn as it is drawn, what judges once and for all.
    scale, plain = (reduced_by(job.scale), "bicubic") if film else (job.scale, worn)
    planes, phases, sizes = plan.shape.planes, plan.finish is not None, SIZES.get(job.scale, (1,))
    pictures = pairs(shown, scale, degradation=plain, planes=planes, sizes=sizes, phases=phases)
    if not pictures:
        raise GraphError(
            "no picture is large enough to train on", file=job.folder, remedy="Use pictures of 500 pixels or more."
        )
    area = worn == "area"
    pictures += drawings(pictures, scale, planes, job.seed, share=plan.drawings, area=area, phases=phases)
    judges = read(held)
    tests = [] if job.test is None else read(found(job.test))
    start = _start(job, plan.shape, worn)
    training = Training(
        plan, pictures, judges, patches=FilmPatches if film else Patches, device=job.device, start=start
    )
    state = trained(training, job, tell, plan.steps)
    mean = training.mean
    back = None if plan.finish is None else plan.finish.reduction
    held_psnr = _score(mean, judges, job.scale, back)
    arrays = {name: value.detach().cpu().numpy() for name, value in mean.items()}
    notes = {
        "net": job.net,
        "degradation": worn,
        "steps": state.step,
        "seed": job.seed,
        "pictures": sorted({file.name for file in shown}),
        "held out": sorted(file.name for file in held),
    }
    ranges = [value * RESERVE for value in entering(mean, [picture.low for picture in judges])] if judges else []
    way = "area" if area else "bicubic"
    stored = storing.Stored(plan.shape, arrays, film, tuple(ranges), notes, way)
    storing.save(job.out, stored, half=job.half)
    job.checkpoint.unlink(missing_ok=True)
    return Made(
        state,
        True,
        plan.shape.parameters,
        len(pictures),
        held_psnr,
        _score(None, judges, job.scale),
        _score(mean, tests, job.scale, back) if tests else None,
        _score(None, tests, job.scale) if tests else None,
    )


def _score(
    net: Mapping[str, Any] | None, pictures: Sequence[Picture], scale: int, reduction: str | None = None
) -> float:
    """Return the mean PSNR of luma, or of R, G and B, dB, of a net, brought back by the `reduction`, or (None) of
    Lanczos, without two input pixels at the edges."""
    made = (enlarged(p.low, scale) if net is None else enlarge(net, p.low, scale, reduction) for p in pictures)
    return float(np.mean([psnr(got, p.full, 2 * scale) for got, p in zip(made, pictures, strict=True)]))


def _start(job: Job, shape: Shape, worn: str) -> dict[str, Any] | None:
    path = job.start
    if path is None and worn != "bicubic" and job.net in SHIPPED:
        path = FOLDER / f"{job.net}_x{job.scale}.safetensors"
    elif path is None and (job.net, job.scale) in GROWN:
        net, scale = GROWN[job.net, job.scale]
        path = FOLDER / f"{net}_x{scale}.safetensors"
    if path is None:
        return None
    stored = storing.load(path)
    try:
        return grown(stored.arrays, stored.shape, shape, job.seed)
    except ValueError:
        old = stored.shape
        raise GraphError(
            f"a net of {shape.channels} channels and {shape.layers} layers cannot begin as one of {old.channels} and "
            f"{old.layers}",
            file=path,
            remedy="Begin as a smaller net, or leave --start out.",
        ) from None
