"""Small nets with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[..., Path]


@pytest.fixture
def net_file(tmp_path: Path) -> Make:
    """Write a net of random weights, strong enough to be seen; return its path."""
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from safelight.nodes.resolution.learned import storing
    from safelight.nodes.resolution.learned.nets import Shape, fresh

    def make(
        channels: int = 8, layers: int = 4, scale: int = 2, seed: int = 1, planes: int = 1, **more: object
    ) -> Path:
        shape = Shape(channels, layers, scale, planes)
        arrays = {name: value.numpy() for name, value in fresh(shape, seed).items()}
        arrays[f"{layers - 1}.weight"] *= 5
        path = tmp_path / f"net_{channels}_{layers}_{scale}_{seed}_{planes}.safetensors"
        storing.save(path, storing.Stored(shape, arrays, **{"ranges": (2.0,) * layers, **more}))  # type: ignore[arg-type]
        return path

    return make
