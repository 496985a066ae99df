"""Small nets and pipelines with random weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nodes.resolution.tiny_pipelines import saved

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


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of diffusion pipelines: `upscale`, `latent`, and `pickled`, the first with its weights as pickles."""
    missing = [name for name in ("torch", "diffusers", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: pip install 'safelight[diffusion]'")
    return saved(tmp_path_factory.mktemp("pipelines"))
