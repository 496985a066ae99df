"""What Write knows of the signal it writes: the display it is for, how files say so, whether its light is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.colour.display import Display, display_of
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip
from safelight.graph.node import Settings
from safelight.nodes.io.files.encode import Shown
from safelight.nodes.io.files.formats import Format
from safelight.nodes.io.files.light import FrameLight
from safelight.nodes.io.files.light_out import LightPlan
from safelight.nodes.io.files.mastering import Mastering, mastering_of
from safelight.nodes.io.files.movie_out import MovieFormat, movie_format

if TYPE_CHECKING:
    from safelight.colour.config import ColourConfig
    from safelight.nodes.io.write import WriteParams


@dataclass(frozen=True)
class Signal:
    """The signal that a Write writes."""

    space: str
    """Colour space of the files, by the config's name."""
    display: Display | None
    """The display they are encoded for, where it is known."""
    tagged: Display | None
    """The display that headers name: one that a Deliver made the signal for, or an HDR one."""
    mastering: Mastering | None
    light: LightPlan | None
    """How its light is measured; None where it is not."""

    @property
    def hdr(self) -> bool:
        """Whether the files are HDR."""
        return self.display is not None and self.display.hdr

    @property
    def static(self) -> bool:
        """Whether movies carry ST 2086 and content light: a PQ signal's. HLG has no absolute light to speak of."""
        return self.display is not None and self.display.encoding == "pq"

    @property
    def code_points(self) -> tuple[int, int]:
        """H.273 primaries and transfer; 2 ("unspecified") where nobody knows."""
        return self.display.code_points if self.display is not None else _code_points(self.space)

    @property
    def matrix(self) -> str:
        """Y'CbCr matrix of the signal."""
        return "bt2020" if self.code_points[0] == 9 else "bt709"

    def shown(self, light: FrameLight | None) -> Shown | None:
        """Return what a still's header says."""
        return Shown(self.tagged, self.mastering, light) if self.tagged is not None else None

    def datatype(self, params: WriteParams, target: Format) -> str:
        """Return the datatype of stills: HDR is not written with the 8 bits that its source may have had."""
        if self.hdr and params.datatype == "auto" and not target.windows:
            return target.types[0]
        return params.datatype

    def movie_format(self, params: WriteParams) -> MovieFormat:
        """Return how a movie is encoded; refuse what does not go together."""
        return movie_format(
            params.path, params.codec, params.pixel_format, params.datatype, hdr=self.hdr, matrix=self.matrix
        )


def signal_of(params: WriteParams, clip: Clip, config: ColourConfig, space: str, settings: Settings) -> Signal:
    """Find out what is written.

    Parameters
    ----------
    space:
        Colour space of the files; the working space for a signal that is written as it comes.

    Raises
    ------
    GraphError
        Parameters of light or mastering that this signal cannot have.
    """
    said = display_of(clip.metadata)
    if said is not None and params.colourspace != "auto":
        raise GraphError(
            f"the picture is encoded for a display already ({said}): converting it again would spoil it",
            where="colourspace",
            remedy="Leave colourspace out, or take the Deliver before it out.",
        )
    display = said if said is not None else config.display_of(space)
    tagged = display if display is not None and (said is not None or display.hdr) else None
    hdr = display is not None and display.hdr
    for name, given in (("mastering_primaries", params.mastering_primaries != "auto"),
                        ("mastering_max", params.mastering_max > 0)):  # fmt: skip
        if given and (display is None or display.encoding != "pq"):
            raise GraphError(
                "only a PQ signal has a mastering display",
                where=name,
                remedy="Put a Deliver with encoding = 'pq' before it, or leave it out.",
            )
    if params.mastering_max and params.mastering_min >= params.mastering_max:
        raise GraphError("the darkest light is not below the brightest", where="mastering_min")
    mastering = None
    if display is not None and display.encoding == "pq":
        mastering = mastering_of(display, params.mastering_primaries, params.mastering_max, params.mastering_min)
    if params.light == "on" and display is None:
        raise GraphError(
            f"nobody knows how bright the numbers of '{space}' are",
            where="light",
            remedy="Put a Deliver before it, or write to a display's colour space (Rec.2100-PQ - Display).",
        )
    colour = [name for name in clip.channels if name in ("R", "G", "B", "Y") and _wanted(params, name)]
    measurable = set(colour) >= {"R", "G", "B"} or colour == ["Y"]
    measured = measurable and (params.light == "on" or (params.light == "auto" and hdr))
    if params.hdr10plus and not (measured and display is not None and display.encoding == "pq"):
        raise GraphError(
            "HDR10+ describes the light of a PQ signal",
            where="hdr10plus",
            remedy="Put a Deliver with encoding = 'pq' before it, and do not set light = 'off'.",
        )
    light = None
    if measured and display is not None:
        cuts = settings.section("shot").get("cuts", ())
        light = LightPlan(display, mastering, params.hdr10plus, tuple(sorted(int(cut) for cut in cuts)))
    return Signal(space, display, tagged, mastering, light)


def check_depth(signal: Signal, params: WriteParams, target: Format) -> None:
    """Refuse stills that show an HDR signal in bands."""
    if not signal.hdr or not (params.datatype == "uint8" or target.types == ("uint8",)):
        return
    raise GraphError(
        "an HDR signal in 8 bits shows bands",
        where="datatype" if params.datatype == "uint8" else "path",
        remedy="Write uint10 or uint16 (PNG, TIFF, DPX), or EXR.",
    )


def _wanted(params: WriteParams, name: str) -> bool:
    return not params.wanted or name in params.wanted


def _code_points(space: str) -> tuple[int, int]:
    """Return H.273 primaries and transfer for spaces that go by a usual name."""
    name = space.casefold()
    if "709" in name or "srgb" in name:
        return 1, 13 if "srgb" in name and "1886" not in name else 1
    if "2020" in name or "2100" in name:
        return 9, 16 if "pq" in name or "2084" in name else 18 if "hlg" in name else 14
    return 2, 2
