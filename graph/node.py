"""What a node is: one class in one file, with parameters, ports, and four questions it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from safelight.graph import provenance
from safelight.graph.device import Device, cpu_count
from safelight.graph.errors import RenderError
from safelight.graph.image import Clip, Image
from safelight.graph.params import Params
from safelight.graph.region import Region


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a node."""

    name: str
    help: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """Pixels asked for: one frame, one region (in the coordinates of the display window)."""

    frame: int
    region: Region


@dataclass(frozen=True)
class Settings:
    """What the document says beside its nodes. The engine hands it on and does not interpret it."""

    folder: Path = Path()
    """Folder that relative paths start from."""
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Tables of the document other than `nodes`, by name: `colour`, `shot`, …"""
    untrusted: bool = False
    """Read files in a child process with a memory limit."""
    threads: int = field(default_factory=cpu_count)
    """Threads that reading and writing may use."""

    @property
    def forensic(self) -> bool:
        """Nothing may be invented: nodes that synthesise are refused."""
        return bool(self.section("graph").get("forensic", False))

    @property
    def provenance(self) -> bool:
        """Every picture carries a record of where its pixels came from; a forensic graph's does unless told not to."""
        return bool(self.section("graph").get("provenance", self.forensic))

    def section(self, name: str) -> Mapping[str, Any]:
        """Return one table, empty when the document has none of that name."""
        return self.sections.get(name, {})


class Inputs:
    """The pictures a node asked for, and what is known of its inputs' clips."""

    def __init__(
        self,
        request: Request,
        images: Mapping[str, Mapping[int, Image]],
        clips: Mapping[str, Clip],
        settings: Settings | None = None,
        *,
        prepared: Callable[[str, int], Any] | None = None,
        analysis: Mapping[str, Any] | None = None,
    ) -> None:
        self._frame = request.frame
        self._images = images
        self._prepared = prepared
        self.clips = clips
        self.settings = settings or Settings()
        self.analysis = analysis

    def __contains__(self, port: object) -> bool:
        return bool(self._images.get(str(port)))

    def get(self, port: str) -> Image | None:
        """Return the port's picture at the requested frame; None where nothing is connected."""
        return self.at(port, self._frame)

    def __getitem__(self, port: str) -> Image:
        """Return the port's picture at the requested frame."""
        return self._images[port][self._frame]

    def at(self, port: str, frame: int) -> Image | None:
        """Return the port's picture at another frame; None beyond the clip's ends or a cut."""
        return self._images.get(port, {}).get(frame)

    def frames(self, port: str) -> list[int]:
        """Return the frames that are there, ascending."""
        return sorted(self._images.get(port, {}))

    def prepared(self, port: str, frame: int) -> Any:
        """Return what the node's `prepare` made of one input frame."""
        if self._prepared is None:
            raise RuntimeError("no prepare stage was run for this node")
        return self._prepared(port, frame)


class Pictures(Protocol):
    """The pictures an analysis asked for: (frame, image), in the order asked for, made as they are drawn."""

    @property
    def settings(self) -> Settings:
        """What the document says beside its nodes."""
        ...

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        """Yield those of the first input."""
        ...

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        """Yield those of one input port. Asked again, they are made again: nothing is kept."""
        ...


class Writer(Protocol):
    """Receives a sink's frames, in ascending order."""

    def write(self, frame: int, image: Image) -> Sequence[Path]:
        """Write one frame; return the files that are now complete."""
        ...

    def close(self) -> Sequence[Path]:
        """Finish; return the files that became complete only now (a movie)."""
        ...

    def abort(self) -> None:
        """Leave nothing half-written behind."""
        ...


class Node:
    """Base of all nodes. A node holds no state: one instance serves every use.

    A subclass sets the class attributes and overrides what it must. With `window` and `padding` set, most nodes
    override `compute` alone.
    """

    id: ClassVar[str]
    """Type name in documents. Never changes once published."""
    version: ClassVar[int] = 1
    """Raised whenever the same parameters give other pixels: signatures hold it."""
    inputs: ClassVar[tuple[Port, ...]] = (Port("input"),)
    outputs: ClassVar[tuple[Port, ...]] = (Port("image"),)
    Params: ClassVar[type[Params]] = Params

    window: ClassVar[int] = 0
    """Frames needed before and after; a node with a parameter for it overrides `reach`."""
    padding: ClassVar[int] = 0
    """Pixels needed around the region asked for."""
    tileable: ClassVar[bool] = True
    """False when `compute` must be asked for a frame's whole data window (motion search, global statistics)."""
    pointwise: ClassVar[bool] = False
    """True where a pixel's colour follows from its inputs' colours at that pixel and the parameters alone, whatever
    frame, place and picture: such nodes can be exported as a table."""
    source: ClassVar[bool] = False
    """True for nodes that read files: they run ahead in the reading threads, on the CPU."""
    sink: ClassVar[bool] = False
    """True for nodes that write: see `writer`."""
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    """Where `compute` runs; elsewhere the engine moves the pixels for it."""
    mark: ClassVar[int] = provenance.GRADED
    """What the record of a pixel says once this node has changed it."""
    scratch: ClassVar[float] = 1.0
    """Working memory of `compute`, in multiples of the bytes of the output it is asked for."""
    upgrades: ClassVar[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
    """From a document's schema version to the next: rewrites an old parameter table."""

    # --- facts, before anything renders -------------------------------------------------------------------------

    def extent(self, params: Any, inputs: Mapping[str, Clip]) -> Clip | Mapping[str, Clip]:
        """Say what comes out (frames, windows, channels), for all outputs or one by one. Default: the first input's."""
        return inputs[self.inputs[0].name]

    def offer(self, params: Any, settings: Settings) -> Clip | Mapping[str, Clip]:
        """Sources only, in place of `extent`: what the files hold, looked at under the document's settings."""
        return self.extent(params, {})

    def check(self, params: Any, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse early (raise SafelightError) what would fail while rendering; return warnings."""
        return ()

    def fingerprint(self, params: Any, frame: int | None, settings: Settings) -> str:
        """Return what the picture depends on beside parameters and inputs (a file's size and time, a config's hash).

        With a frame: of that frame alone; with None: of what all frames share.
        """
        return ""

    # --- what a picture needs ------------------------------------------------------------------------------------

    def reach(self, params: Any) -> tuple[int, int]:
        """Return (frames before and after, pixels around). Default: the class attributes."""
        return self.window, self.padding

    def needs(self, params: Any, request: Request) -> Mapping[str, Sequence[Request]]:
        """Say which pixels of which inputs a request takes. The engine clamps the answer to clip, cut and extent."""
        window, padding = self.reach(params)
        region = request.region.grow(padding)
        frames = range(request.frame - window, request.frame + window + 1)
        return {port.name: [Request(frame, region) for frame in frames] for port in self.inputs}

    def identity(self, params: Any, request: Request) -> str | None:
        """Name the input port that the output equals bit for bit at this request, or None."""
        return None

    # --- the picture ---------------------------------------------------------------------------------------------

    def prepare(self, params: Any, port: str, image: Image, device: Device) -> Any:
        """Do the work that depends on one input frame alone; its result is kept while frames around it need it.

        Called only where overridden, and only with regions that `needs` asked for. Anything with `nbytes` counts
        towards the memory budget.
        """
        raise NotImplementedError

    def compute(self, params: Any, request: Request, inputs: Inputs, device: Device) -> Image | Mapping[str, Image]:
        """Make the pixels asked for: exactly `request.region`. Pure. One image, or one for each output port."""
        raise NotImplementedError

    def record(
        self, params: Any, request: Request, inputs: Inputs, outputs: Mapping[str, Image], device: Device
    ) -> Any:
        """Return the record of the first output's pixels, uint32 (H, W); see `safelight.graph.provenance`.

        Asked for only where the first input has one: `compute` neither sees nor makes it. `inputs` carry theirs as a
        channel. Default: the first input's, with `mark` where the colour's bits differ.
        """
        made = outputs[self.outputs[0].name]
        return provenance.altered(inputs[self.inputs[0].name], made, self.mark, device.xp)

    def invents(self, params: Any) -> str:
        """Say what the node would lay into the picture that was never on the film; "" for nothing.

        A forensic graph refuses nodes that answer. A node that can also work without inventing answers "" and heeds
        `Settings.forensic`.
        """
        return ""

    # --- a whole-shot analysis, for nodes that need one ------------------------------------------------------------

    def wants_analysis(self, params: Any) -> bool:
        """Tell whether `analyse` must run before the render with these parameters."""
        return False

    def analysis_params(self, params: Any) -> Mapping[str, Any]:
        """Return the parameters the analysis depends on: others may change without running it again."""
        return {}

    def analysis_requests(
        self, params: Any, clips: Mapping[str, Clip]
    ) -> Sequence[Request] | Mapping[str, Sequence[Request]]:
        """Return the pictures of the first input that `analyse` looks at, or those of several inputs by port; default
        every frame of the first, whole."""
        clip = clips[self.inputs[0].name]
        return [Request(frame, clip.extent_at(frame)) for frame in clip.frames]

    def analyse(self, params: Any, images: Pictures, clips: Mapping[str, Clip], device: Device) -> Mapping[str, Any]:
        """Look at the shot once, in frame order; return plain data for a person and for `Inputs.analysis`.

        An entry `note`, if there is one, is shown to the person who renders.
        """
        raise NotImplementedError

    def analysis_stands(self, params: Any, result: Mapping[str, Any]) -> bool:
        """Tell whether a kept analysis still stands: False where a file that it wrote has gone."""
        return True

    # --- nodes that read and write -----------------------------------------------------------------------------------

    def writer(self, params: Any, clip: Clip, frames: Sequence[int], settings: Settings) -> Writer:
        """Open what the frames go to. Called once a render, before the first frame."""
        raise NotImplementedError

    def target(self, params: Any, frame: int) -> Path | None:
        """Return the file a frame is written to (a sink) or read from (a source); None when one file holds them all."""
        return None

    # --- helpers ---------------------------------------------------------------------------------------------------

    @classmethod
    def port(cls, name: str) -> Port | None:
        """Return the input port of that name."""
        return next((port for port in cls.inputs if port.name == name), None)

    @classmethod
    def prepares(cls) -> bool:
        """Tell whether this node has a prepare stage."""
        return cls.prepare is not Node.prepare


def only(image: Image | Mapping[str, Image], node: Node) -> Mapping[str, Image]:
    """Return a node's answer as a mapping from output port to image."""
    if isinstance(image, Image):
        return {node.outputs[0].name: image}
    missing = [port.name for port in node.outputs if port.name not in image]
    if missing:
        raise RenderError(f"{node.id} did not make its output '{missing[0]}'")
    return image
