"""Other people's nets, through spandrel: weights looked at before they are believed, and run as they ask to be.

Such nets were trained on display-referred pictures from 0 to 1. They are given the coded picture clipped to that; what
lies outside (values over white, below black) is enlarged by Lanczos and put back, so that none of it is lost.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned.sampling import enlarged
from safelight.nodes.resolution.learned.storing import REDUCTIONS, broken, finite

if TYPE_CHECKING:
    import torch

MARGIN = 32
"""Pixels around a tile that a net is shown and whose result is thrown away."""
NEED_TORCHVISION = ("LaMa", "RestoreFormer")
"""Architectures that spandrel builds with torchvision, which is not asked for: it would fetch gigabytes."""


@dataclass(frozen=True, eq=False)
class Foreign:
    """A net that spandrel knows."""

    path: Path
    held: Any
    """spandrel's ImageModelDescriptor."""
    planes: int
    whole: bool
    """The net says that it must not be given parts of a picture."""
    local: bool = False
    consistent: bool = False
    """Many of these repair as they enlarge: bringing the result back to the data would bring back the damage."""
    reduction: str = REDUCTIONS[0]
    margin: int = MARGIN
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def scale(self) -> int:
        """Output pixels for an input pixel, on a side."""
        return int(self.held.scale)

    def added(self, code: torch.Tensor, precision: str) -> torch.Tensor:
        """Run the net on a coded tile, padded to the sizes that it takes; return what it says over Lanczos."""
        import torch

        kind = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
        able = {torch.bfloat16: self.held.supports_bfloat16, torch.float16: self.held.supports_half}
        if kind is None or not able.get(kind, True):
            raise GraphError(
                f"{self.held.architecture.name} cannot run in {precision}", file=self.path, remedy="Use float32."
            )
        seen = code.clamp(0, 1)
        with self._lock:
            self.held.to(code.device, kind).eval()
            made = self.held(seen[None].to(kind))[0].float()
        cut = self.scale * self.margin
        out: torch.Tensor = (made - enlarged(seen, self.scale))[:, cut:-cut, cut:-cut]
        return out


def load(path: Path) -> Foreign:
    """Return the net of a weights file: what it is is told by the names and shapes of its tensors.

    `.safetensors`, or a pickle, of which torch's restricted reader takes the tensors and nothing else; whether that is
    allowed was asked before.
    """
    tensors = _tensors(path)
    library = _spandrel()
    tensors = library.canonicalize_state_dict(tensors)
    finite({name: value.float().numpy() for name, value in tensors.items() if hasattr(value, "float")}, path)
    try:
        held = library.MAIN_REGISTRY.load(tensors)
    except library.UnsupportedModelError:
        raise GraphError(
            "weights of no kind that spandrel knows", file=path, remedy="Its list of architectures says what it reads."
        ) from None
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise GraphError(
            f"weights that do not fit the net they look like ({type(error).__name__}: {reason})",
            file=path,
            remedy="Fetch them again, or other ones.",
        ) from None
    name = held.architecture.name
    if held.architecture.id in NEED_TORCHVISION or not isinstance(held, library.ImageModelDescriptor):
        raise GraphError(f"{name} weights do not enlarge", file=path, remedy="Use weights for super-resolution.")
    if held.input_channels != held.output_channels or held.input_channels not in (1, 3):
        raise GraphError(
            f"{name} weights that make {held.output_channels} channels of {held.input_channels}",
            file=path,
            remedy="Use weights that make 3 of 3, or 1 of 1.",
        )
    return Foreign(path, held, held.input_channels, held.tiling is not library.ModelTiling.SUPPORTED)


def _tensors(path: Path) -> Mapping[str, Any]:
    if path.suffix.casefold() == ".safetensors":
        from safetensors.torch import load_file

        try:
            return dict(load_file(str(path)))
        except Exception as error:
            raise broken(path, error) from None
    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).split(". ")[0] or type(error).__name__)[:200]
        raise GraphError(
            f"weights that cannot be read as tensors alone ({reason})",
            file=path,
            remedy="Fetch them again, or convert them to .safetensors where they come from.",
        ) from None
    if not isinstance(held, Mapping):
        raise GraphError(
            f"a pickle of a {type(held).__name__}, not of weights",
            file=path,
            remedy="Use a state_dict, or .safetensors.",
        )
    return held


def _spandrel() -> Any:
    """Import spandrel without torchvision."""
    with _stand_ins():
        try:
            import spandrel
        except ImportError as error:
            raise GraphError(
                f"weights of this kind need spandrel ({error})", remedy="pip install 'safelight[learned]'"
            ) from None
    return spandrel


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Put modules in torchvision's place while spandrel is imported: two architectures want three names of it."""
    if "spandrel" in sys.modules or sys.modules.get("torchvision") is not None:
        yield
        return
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    made = {name: ModuleType(name) for name in names}
    functional: Any = made[names[2]]
    functional.rotate = functional.normalize = _absent
    functional.InterpolationMode = type("InterpolationMode", (), {"NEAREST": "nearest", "BILINEAR": "bilinear"})
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


def _absent(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("this architecture needs torchvision")
