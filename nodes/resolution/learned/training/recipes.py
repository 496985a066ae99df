"""The recipes of the shipped nets, and a net grown from a smaller one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.nodes.resolution.learned.nets import Shape
from safelight.nodes.resolution.learned.storing import REDUCTIONS
from safelight.nodes.resolution.learned.training.drawn import SHARE
from safelight.nodes.resolution.learned.training.finishing import Finish
from safelight.nodes.resolution.learned.training.loop import Recipe

NETS: Mapping[str, tuple[int, int, int]] = {"fast": (32, 8, 1), "main": (64, 10, 1), "restore": (48, 10, 3)}
"""Channels, layers, planes of colour."""
STAGES: Mapping[str, tuple[int, int, int]] = {"clean": (47, 6, 3), "enlarge": (48, 6, 3)}
"""What `restore` does in one, in two nets that have as many weights together: see `sequence`."""
STEPS: Mapping[tuple[str, int], int] = {
    ("fast", 2): 4000,
    ("fast", 4): 12000,
    ("main", 2): 3000,
    ("main", 4): 16000,
    ("restore", 2): 4500,
    ("clean", 1): 4500,
    ("enlarge", 2): 4500,
}
RATES: Mapping[tuple[str, int], float] = {
    ("fast", 2): 2e-3,
    ("fast", 4): 1.5e-3,
    ("main", 2): 8e-4,
    ("main", 4): 8e-4,
    ("restore", 2): 0.015,
    ("clean", 1): 0.015,
    ("enlarge", 2): 0.015,
}
MUON = ("restore", "clean", "enlarge")
"""Nets that learn by momentum brought near to orthogonal: from fresh weights 0.08 dB ahead of Adam after 600 steps."""
FINISHED: Mapping[tuple[str, int], Finish] = {
    ("fast", 2): Finish(0.5, 15),
    ("fast", 4): Finish(0.1, 100),
    ("main", 2): Finish(0.3, 4),
    ("main", 4): Finish(0.1, 200),
}
"""Nets whose last part counts more than squared errors. For 4 times they flicker less than their input by themselves,
and what they do not know about an edge rings all the more."""
DRAWN = 0.2
"""Drawings beside an area of 1 of photographs, for those."""
WORN: Mapping[str, str] = {"restore": "film", "clean": "film"}
"""Degradation that a net is made for, where it is not the plain reduction."""
GROWN: Mapping[tuple[str, int], tuple[str, int]] = {
    ("fast", 4): ("fast", 2),
    ("main", 2): ("fast", 2),
    ("main", 4): ("main", 2),
}
"""The net that each begins as."""

Arrays = Mapping[str, npt.NDArray[np.float32]]


def recipe(net: str, scale: int, *, steps: int | None = None, seed: int = 0, worn: str = "bicubic") -> Recipe:
    """Return how a shipped net is made, or the same of pictures with another degradation (one of `degrade.KINDS`)."""
    channels, layers, planes = {**NETS, **STAGES}[net]
    finish = FINISHED.get((net, scale)) if worn in REDUCTIONS else None
    return Recipe(
        Shape(channels, layers, scale, planes),
        steps or STEPS[net, scale],
        rate=RATES[net, scale],
        batch=5 if scale == 4 else 8,
        seed=seed,
        muon=net in MUON,
        drawings=SHARE if finish is None else DRAWN,
        finish=finish and replace(finish, reduction=worn),
    )


def grown(arrays: Arrays, old: Shape, new: Shape, seed: int) -> dict[str, Any]:
    """Return weights of a larger net that makes what the smaller one makes, or begins a new scale with its body.

    Channels are doubled, what each was worth to the next layer split unevenly between the two, so that they part ways;
    layers that do nothing are put before the last. For another scale the last layer begins as nothing.

    Source: Chen et al., Net2Net: Accelerating Learning via Knowledge Transfer, ICLR 2016.
    """
    import torch

    if new.channels % old.channels or new.layers < old.layers or new.planes != old.planes:
        raise ValueError(f"{new} cannot be grown from {old}")
    random, many = np.random.default_rng(seed), new.channels // old.channels
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for k in range(old.layers):
        kernel, bias = arrays[f"{k}.weight"], arrays[f"{k}.bias"]
        if k:
            # Even shares would keep the two alike for ever.
            shares = random.dirichlet([2.0] * many, kernel.shape[1]).T.astype(np.float32)
            kernel = np.concatenate([kernel * share[None, :, None, None] for share in shares], 1)
        last = k == old.layers - 1
        if not last:
            kernel, bias = np.concatenate([kernel] * many), np.concatenate([bias] * many)
        elif new.scale != old.scale:
            size = (new.planes * new.scale**2, new.channels, 3, 3)
            kernel = random.standard_normal(size).astype(np.float32) * np.float32(0.1 * (2 / (9 * new.channels)) ** 0.5)
            bias = np.zeros(len(kernel), np.float32)
        at = new.layers - 1 if last else k
        weights[f"{at}.weight"], weights[f"{at}.bias"] = kernel, bias
    for k in range(old.layers - 1, new.layers - 1):
        kernel = np.zeros((new.channels, new.channels, 3, 3), np.float32)
        kernel[np.arange(new.channels), np.arange(new.channels), 1, 1] = 1
        weights[f"{k}.weight"], weights[f"{k}.bias"] = kernel, np.zeros(new.channels, np.float32)
    return {name: torch.from_numpy(np.ascontiguousarray(weights[name])) for name in sorted(weights, key=_order)}


def _order(name: str) -> tuple[int, str]:
    layer, part = name.split(".")
    return int(layer), part
