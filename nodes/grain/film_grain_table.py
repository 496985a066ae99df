"""Film-grain tables of AV1: the parameters of the standard's grain synthesis, and the text file that holds them.

A decoder makes a small template of Gaussian noise, filters it by an autoregression, cuts 32 × 32 blocks out of it at
random places and adds them, scaled by a curve over the picture's level. The parameters of all that are
`FilmGrain`; the ranges are those of the AV1 Bitstream & Decoding Process Specification (2019), sections 5.9.30 and
6.8.20. The text format `filmgrn1` is that of libaom's `aom_dsp/grain_table.c`; SVT-AV1 and rav1e read it too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from safelight.graph.errors import GraphError

MAGIC = "filmgrn1"
FOREVER = 2**63 - 1
"""End of a segment that has none: the last time stamp there can be."""
TICKS = 10_000_000
"""Time stamps in a second."""
MOST_Y, MOST_CHROMA = 14, 10
"""Points a scaling curve may have."""

_Byte = Annotated[int, Field(ge=0, le=255)]
_Coefficient = Annotated[int, Field(ge=-128, le=127)]
_Points = tuple[tuple[_Byte, _Byte], ...]
_Coefficients = tuple[_Coefficient, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FilmGrain(_Part):
    """Parameters of the grain of a run of frames. They hold for every bit depth: levels are those of 8 bits."""

    ar_coeff_lag: int = Field(ge=0, le=3)
    """Reach of the autoregression, pixels."""
    ar_coeff_shift: int = Field(ge=6, le=9)
    """Its coefficients are over 2 to this power."""
    grain_scale_shift: int = Field(ge=0, le=3)
    """The template's noise is halved this often, so that a strong autoregression does not clip it."""
    scaling_shift: int = Field(ge=8, le=11)
    """The scaling is over 2 to this power."""
    chroma_scaling_from_luma: bool
    overlap: bool
    """Blend neighbouring blocks over two pixels."""
    cb_mult: _Byte
    """Where the scaling of Cb is looked up: (luma (cb_luma_mult - 128) + Cb (cb_mult - 128)) / 64 + cb_offset - 256."""
    cb_luma_mult: _Byte
    cb_offset: int = Field(ge=0, le=511)
    cr_mult: _Byte
    cr_luma_mult: _Byte
    cr_offset: int = Field(ge=0, le=511)
    scaling_y: _Points = Field(max_length=MOST_Y)
    """(level, scaling), levels ascending: straight lines between, held beyond. Empty: no grain."""
    scaling_cb: _Points = Field(max_length=MOST_CHROMA)
    scaling_cr: _Points = Field(max_length=MOST_CHROMA)
    ar_y: _Coefficients
    """Row by row down to the pixel itself, which is left out: 2 lag (lag + 1)."""
    ar_cb: _Coefficients
    """As `ar_y`, and last the share of the luma grain."""
    ar_cr: _Coefficients

    @model_validator(mode="after")
    def _fits(self) -> FilmGrain:
        count = 2 * self.ar_coeff_lag * (self.ar_coeff_lag + 1)
        for name, found, wanted in (
            ("cY", self.ar_y, count), ("cCb", self.ar_cb, count + 1), ("cCr", self.ar_cr, count + 1)
        ):  # fmt: skip
            if len(found) != wanted:
                raise ValueError(f"{name} holds {len(found)} coefficients instead of {wanted}")
        for name, points in (("sY", self.scaling_y), ("sCb", self.scaling_cb), ("sCr", self.scaling_cr)):
            if any(b[0] <= a[0] for a, b in pairwise(points)):
                raise ValueError(f"the levels of {name} do not rise")
        if bool(self.scaling_cb) != bool(self.scaling_cr):
            raise ValueError("sCb and sCr must both hold points, or neither (4:2:0)")
        if not self.scaling_y and self.scaling_cb:
            raise ValueError("sCb holds points and sY none (4:2:0)")
        return self


class Segment(_Part):
    """A run of frames."""

    start: int = Field(ge=0, le=FOREVER)
    """Time stamp of its first frame, in `TICKS`."""
    end: int = Field(ge=0, le=FOREVER)
    """Time stamp just past its last."""
    apply: bool
    seed: int = Field(ge=0, le=65535)
    """Of the first frame's random numbers; encoders go on from it, frame by frame."""
    grain: FilmGrain | None
    """None: as before."""

    @model_validator(mode="after")
    def _lasts(self) -> Segment:
        if self.end <= self.start:
            raise ValueError(f"the segment ends at {self.end}, before it starts at {self.start}")
        return self


def table_text(segments: Sequence[Segment]) -> str:
    """Return the file of a table, byte for byte as libaom writes it.

    Raises ValueError where there is no segment, or two do not follow each other.
    """
    if not segments:
        raise ValueError("there is no segment")
    _in_order(segments)
    lines = [MAGIC]
    for segment in segments:
        grain = segment.grain
        lines.append(_row("E", segment.start, segment.end, segment.apply, segment.seed, grain is not None))
        if grain is None:
            continue
        lines.append("\t" + _row("p", *(getattr(grain, name) for name in _PLAIN)))
        lines.append(f"\tsY {len(grain.scaling_y)} " + _pairs(grain.scaling_y))
        lines.append(f"\tsCb {len(grain.scaling_cb)}" + _pairs(grain.scaling_cb))
        lines.append(f"\tsCr {len(grain.scaling_cr)}" + _pairs(grain.scaling_cr))
        for tag, values in (("cY", grain.ar_y), ("cCb", grain.ar_cb), ("cCr", grain.ar_cr)):
            lines.append("\t" + _row(tag, *values))
    return "\n".join(lines) + "\n"


_PLAIN = (
    "ar_coeff_lag", "ar_coeff_shift", "grain_scale_shift", "scaling_shift", "chroma_scaling_from_luma", "overlap",
    "cb_mult", "cb_luma_mult", "cb_offset", "cr_mult", "cr_luma_mult", "cr_offset",
)  # fmt: skip
_FLAGS = ("chroma_scaling_from_luma", "overlap")


def _row(tag: str, *values: int) -> str:
    return " ".join([tag, *(str(int(value)) for value in values)])


def _pairs(points: _Points) -> str:
    return "".join(f" {level} {scaling}" for level, scaling in points)


def _in_order(segments: Sequence[Segment]) -> None:
    for before, after in pairwise(segments):
        if after.start < before.end:
            raise ValueError(f"the segment from {after.start} starts before the one to {before.end} ends")


def parse_table(text: str) -> tuple[Segment, ...]:
    """Read a table; stricter than encoders, which take broken ones without a word.

    Raises
    ------
    GraphError
        Names the line and what is wrong with it: a row that is missing, has too many or too few numbers, values the
        standard does not allow, segments that overlap.
    """
    lines = _Lines(text)
    segments = []
    while not lines.done:
        start, end, apply, seed, update = lines.take("E", 5)
        first = lines.at
        fields: dict[str, object] = {}
        if lines.flag(update):
            fields |= dict(zip(_PLAIN, lines.take("p", len(_PLAIN)), strict=True))
            fields |= {name: lines.flag(fields[name]) for name in _FLAGS}
            for name, tag in (("scaling_y", "sY"), ("scaling_cb", "sCb"), ("scaling_cr", "sCr")):
                count, *values = lines.take(tag)
                if len(values) != 2 * count:
                    raise lines.error(f"{count} points are announced and {len(values)} numbers given")
                fields[name] = tuple(zip(values[::2], values[1::2], strict=True))
            for name, tag in (("ar_y", "cY"), ("ar_cb", "cCb"), ("ar_cr", "cCr")):
                fields[name] = tuple(lines.take(tag, least=0))
        try:
            grain = FilmGrain.model_validate(fields) if fields else None
            segments.append(Segment(start=start, end=end, apply=lines.flag(apply), seed=seed, grain=grain))
            _in_order(segments)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"]))
            raise lines.error(f"{where + ': ' if where else ''}{fault['msg']}", first) from None
        except ValueError as error:
            raise lines.error(str(error), first) from None
    if not segments:
        raise lines.error("there is no segment")
    return tuple(segments)


class _Lines:
    """The rows of a table, one after the other."""

    def __init__(self, text: str) -> None:
        self._rows: Iterator[tuple[int, list[str]]] = (
            (number, words) for number, line in enumerate(text.splitlines(), 1) if (words := line.split())
        )
        self.at = 0
        self._next: list[str] | None = None
        self._ahead = 0
        self._step()
        if self._next != [MAGIC]:
            raise self.error(f"the table does not begin with {MAGIC}", 1)
        self._step()

    @property
    def done(self) -> bool:
        return self._next is None

    def _step(self) -> None:
        self.at = self._ahead
        self._ahead, self._next = next(self._rows, (self._ahead + 1, None))

    def take(self, tag: str, count: int | None = None, least: int = 1) -> list[int]:
        """Return the numbers of the next row, which must begin with `tag`."""
        words = self._next
        if words is None or words[0] != tag:
            found = "the table ends" if words is None else f"'{words[0]}' stands"
            raise self.error(f"{found} where a row '{tag}' belongs", self._ahead)
        self._step()
        try:
            numbers = [int(word) for word in words[1:]]
        except ValueError:
            raise self.error(f"the row '{tag}' holds something else than whole numbers") from None
        if len(numbers) < least or (count is not None and len(numbers) != count):
            raise self.error(f"the row '{tag}' holds {len(numbers)} numbers instead of {count or least}")
        return numbers

    def flag(self, value: object) -> bool:
        if value not in (0, 1):
            raise self.error(f"a flag is {value} instead of 0 or 1")
        return value == 1

    def error(self, what: str, line: int | None = None) -> GraphError:
        return GraphError(
            f"the film-grain table is broken: {what}",
            where=f"line {line or self.at}",
            remedy="Write it again with 'safelight analyse --film-grain-table'.",
        )


def save_table(segments: Sequence[Segment], path: Path) -> None:
    """Write a table; the file is there whole or not at all.

    Raises GraphError where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(table_text(segments), encoding="ascii", newline="\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise GraphError(
            f"the film-grain table cannot be written: {error.strerror}",
            file=path,
            remedy="Name a file in a folder that exists and can be written to.",
        ) from None
