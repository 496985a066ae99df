"""Which net is meant by a name or a path: the shipped ones, ones trained here, and other people's."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from safelight.graph.errors import GraphError, did_you_mean
from safelight.nodes.resolution.learned import storing

if TYPE_CHECKING:
    import torch

SHIPPED = ("main", "fast")
"""Names of the nets that come with Safelight; each for 2 and 4 times."""
AREA = {name: f"{name}_area" for name in SHIPPED}
"""Names of those that learned from pictures reduced by means of light."""
NAMES = (*SHIPPED, *AREA.values())
RESTORE = "restore"
"""Name of the shipped net that repairs as it enlarges, 2 times."""
FOLDER = Path(__file__).parent / "weights"
PICKLES = (".pth", ".pt", ".ckpt")
DEFAULT = "default"
"""Another name of the first of them."""
PRECISIONS = ("float32", "float16", "bfloat16", "int8")


class Net(Protocol):
    """What a tile is sent through."""

    @property
    def scale(self) -> int:
        """Output pixels for an input pixel, on a side."""
        ...

    @property
    def planes(self) -> int:
        """1: takes luma; 3: takes R, G, B."""
        ...

    @property
    def margin(self) -> int:
        """Input pixels that `added` takes off every side."""
        ...

    @property
    def local(self) -> bool:
        """True if an output pixel depends on `margin` input pixels around it and nothing else."""
        ...

    @property
    def whole(self) -> bool:
        """True if it must not be given parts of a picture."""
        ...

    @property
    def consistent(self) -> bool:
        """True if its results are to be brought back to the data they are made from."""
        ...

    @property
    def reduction(self) -> str:
        """One of `storing.REDUCTIONS`: what gives the data back."""
        ...

    def added(self, code: torch.Tensor, precision: str) -> torch.Tensor:
        """Return what comes onto the enlarged picture: (planes, H, W) coded → (planes, scale (H - 2 margin), …)."""
        ...


@dataclass(frozen=True, eq=False)
class Plain:
    """One of our own nets, ready to run."""

    stored: storing.Stored
    local: bool = True
    whole: bool = False
    _held: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def scale(self) -> int:
        """Output pixels for an input pixel, on a side."""
        return self.stored.shape.scale

    @property
    def planes(self) -> int:
        """1: takes luma; 3: takes R, G, B."""
        return self.stored.shape.planes

    @property
    def margin(self) -> int:
        """Input pixels taken off every side."""
        return self.stored.shape.layers

    @property
    def consistent(self) -> bool:
        """Whether results are brought back to their data: not those of nets trained to repair."""
        return not self.stored.repairs

    @property
    def reduction(self) -> str:
        """What gives the data back."""
        return self.stored.reduction

    def added(self, code: torch.Tensor, precision: str) -> torch.Tensor:
        """Run the net; in halves all layers but the first, which sees the light; in int8 through ONNX Runtime."""
        import torch

        from safelight.nodes.resolution.learned.nets import added

        if precision == "int8":
            from safelight.nodes.resolution.learned.quantised import Session

            if "int8" not in self._held:
                self._held["int8"] = Session(self.stored)
            return torch.from_numpy(self._held["int8"].added(code.cpu().numpy())).to(code.device)
        kind = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(precision, torch.float32)
        key = (kind, str(code.device))
        if key not in self._held:
            self._held[key] = {
                name: torch.from_numpy(array)
                .to(code.device, torch.float32 if name[:2] == "0." else kind)
                .contiguous(memory_format=torch.channels_last if array.ndim == 4 else torch.contiguous_format)
                for name, array in self.stored.arrays.items()
            }
        x = code[None].contiguous(memory_format=torch.channels_last)
        return added(self._held[key], x, self.scale)[0].float()


@dataclass(frozen=True, eq=False)
class SameSize:
    """A net that enlarges twice, at the size that the picture has: each pixel is the mean light of its four."""

    net: Net
    scale: int = 1
    consistent: bool = False
    reduction: str = storing.REDUCTIONS[0]

    @property
    def planes(self) -> int:
        """1: takes luma; 3: takes R, G, B."""
        return self.net.planes

    @property
    def margin(self) -> int:
        """Input pixels taken off every side."""
        return self.net.margin

    @property
    def local(self) -> bool:
        """Whether pixels depend on `margin` around them alone."""
        return self.net.local

    @property
    def whole(self) -> bool:
        """Whether it must not be given parts of a picture."""
        return self.net.whole

    @property
    def stored(self) -> storing.Stored | None:
        """What our own nets hold: how wide they are tells the memory they take."""
        return getattr(self.net, "stored", None)

    def added(self, code: torch.Tensor, precision: str) -> torch.Tensor:
        """Return what brings the picture to the reduced result."""
        from safelight.nodes.resolution.learned.coding import decode, encode
        from safelight.nodes.resolution.learned.sampling import enlarged

        edge = self.margin
        made = enlarged(code, 2)[:, 2 * edge : -2 * edge, 2 * edge : -2 * edge] + self.net.added(code, precision)
        light = decode(made)
        rows = light[:, ::2] + light[:, 1::2]
        mean = (rows[:, :, ::2] + rows[:, :, 1::2]) * 0.25
        more: torch.Tensor = encode(mean) - code[:, edge:-edge, edge:-edge]
        return more


def available() -> bool:
    """Refuse where the extra is not installed; else True."""
    missing = [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        raise GraphError(
            f"learned models need {' and '.join(missing)}, not installed here",
            remedy="pip install 'safelight[learned]'",
        )
    return True


def weights_at(path: Path, remedy: str) -> None:
    """Refuse a path where no safetensors file of weights lies; `remedy` says who writes such files."""
    if path.suffix.casefold() != ".safetensors":
        pickle = path.suffix.casefold() in PICKLES
        raise GraphError(
            "is a pickle: such files can hold programs" if pickle else f"weights of the unknown kind '{path.suffix}'",
            file=path,
            remedy=remedy,
        )
    if not path.is_file():
        raise GraphError("there are no such weights", file=path, remedy="Mend the path.")


def file_of(model: str | Path, scale: int) -> Path:
    """Return the file of a shipped net or of a path."""
    if str(model) == DEFAULT:
        model = SHIPPED[0]
    if str(model) in (*NAMES, RESTORE):
        return FOLDER / f"{model}_x{scale}.safetensors"
    path = Path(model)
    if not path.suffix and path.parent == Path():
        raise GraphError(
            f"there is no model '{model}'",
            remedy=did_you_mean(str(model), SHIPPED) or f"Use {' or '.join(SHIPPED)}, or the path of a weights file.",
        )
    return path


def fingerprint(model: str | Path, scale: int) -> str:
    """Return what a signature must hold of a model: a hash of its weights."""
    return storing.digest(file_of(model, scale))


def find(model: str | Path, scale: int, *, channels: int = 3, pickled: bool = False) -> Net:
    """Return the net of that name or path, checked against what is asked of it.

    Parameters
    ----------
    model:
        One of `NAMES`, `RESTORE`, or a file: what `safelight train` wrote, or anything spandrel knows.
    scale:
        What the weights are for: 2 or 4 (1 for other people's nets that repair and do not enlarge).
    channels:
        Colour planes of the picture.
    pickled:
        Allow `.pth` files: they are read by torch's own restricted reader, weights alone.
    """
    available()
    path = file_of(model, scale)
    if not path.is_file():
        if str(model) in (DEFAULT, *NAMES, RESTORE):
            remedy = "Use 2 times." if str(model) == RESTORE else "Use 2 or 4 times."
            raise GraphError(f"there are no {model} weights for {scale} times", remedy=remedy)
        raise GraphError("there are no such weights", file=path, remedy="Mend the path.")
    net = _loaded(path, path.stat().st_mtime_ns, path.stat().st_size, pickled)
    if net.scale != scale:
        raise GraphError(
            f"the weights enlarge {net.scale} times, and {scale} times is asked for",
            file=path,
            remedy=f"Use weights for {scale} times.",
        )
    if net.planes > channels:
        raise GraphError(
            f"the weights are for R, G, B, and the picture has {channels} colour channel{'s'[: channels != 1]}",
            file=path,
            remedy=f"Use model = '{SHIPPED[0]}', which works on luma.",
        )
    return net


@lru_cache(maxsize=4)
def _loaded(path: Path, time: int, size: int, pickled: bool) -> Net:
    if path.suffix.casefold() in PICKLES:
        if not pickled:
            raise GraphError(
                "is a pickle: such files can hold programs",
                file=path,
                remedy="Convert it to .safetensors, or allow pickled weights if you trust where it is from.",
            )
    elif path.suffix.casefold() != ".safetensors":
        raise GraphError(
            f"weights of the unknown kind '{path.suffix}'", file=path, remedy="Use .safetensors (or .pth, if allowed)."
        )
    elif storing.header(path) is not None:
        return Plain(storing.load(path))
    from safelight.nodes.resolution.learned import foreign

    return foreign.load(path)
