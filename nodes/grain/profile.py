"""Grain profiles: what was measured of a plate's grain, as a small file that a person can read.

A profile is JSON. `safelight_grain` is its version; a file of a newer one is refused, never half understood.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from safelight.graph.errors import GraphError

FORMAT = 1
BINS = 10
"""Bins of the radial power spectrum, from frequency 0 to 0.5 cycles a pixel."""
LAGS = 4
"""Lags of the autocorrelation that are kept, along each axis: 0 … LAGS - 1 pixels."""

_Share = Annotated[float, Field(ge=0, le=1)]
_Correlation = Annotated[float, Field(ge=-1, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Point(_Part):
    """Noise at one level of light."""

    level: float
    """Mean plate value: scene-linear light."""
    stops: float | None
    """Stops above mid-grey (0.18); None for black and below."""
    sigma: float = Field(ge=0)
    """Standard deviation of a pixel, in the unit of the profile's domain."""
    sigma_linear: float = Field(ge=0)
    """The same in plate values."""
    uncertainty: float = Field(ge=0)
    """Standard error of `sigma`, in its unit."""
    samples: int = Field(ge=1)
    """Pixels behind it."""
    method: Literal["temporal", "spatial"]
    """temporal: difference of neighbouring frames where the picture stands still. spatial: flat areas of a frame."""


class Channel(_Part):
    """Grain of one channel."""

    curve: list[Point]
    """By level, ascending."""
    spectrum: list[Annotated[float, Field(ge=0)]]
    """Power in each radial bin, white noise of the same variance being 1; empty without grain."""
    autocorrelation: list[list[float]]
    """[dy][dx], 1 at [0][0]; mean of the signs of dx and dy; empty without grain."""
    film_share: _Share | None
    """Share of the variance whose spectrum is coloured as film's is; None where it cannot be told."""
    film_share_range: tuple[_Share, _Share] | None
    """Shares that fit the spectrum about as well."""

    @model_validator(mode="after")
    def _shape(self) -> Channel:
        if [point.level for point in self.curve] != sorted(point.level for point in self.curve):
            raise ValueError("the levels of the curve do not rise")
        if self.curve and len(self.spectrum) != BINS:
            raise ValueError(f"the spectrum has {len(self.spectrum)} bins instead of {BINS}")
        if self.curve and [len(row) for row in self.autocorrelation] != [LAGS] * LAGS:
            raise ValueError(f"the autocorrelation is not {LAGS} x {LAGS}")
        return self


class PlateFacts(_Part):
    """What was looked at."""

    source: str
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    frames: list[int]
    patch: tuple[int, int, int, int] | None
    """x0, y0, x1, y1 of the area measured; None for all of it."""
    pitch_um: float | None = Field(gt=0)
    """Distance of pixels on the film, µm, where it was said."""


class Profile(_Part):
    """Measured grain of a plate.

    `domain` is what `sigma` is in: log (stops above a toe of 0.01), density (of `stock`) or linear (plate values).
    """

    safelight_grain: Literal[1] = 1
    note: str
    """What a person should know, in one line."""
    domain: Literal["log", "linear", "density"]
    stock: str
    """Stock whose characteristic curves made the density; empty for other domains."""
    plate: PlateFacts
    channels: dict[str, Channel]
    frequencies: list[float]
    """Centre of each spectral bin, cycles a pixel."""
    frequencies_per_mm: list[float] | None
    """The same on the film, cycles/mm, where the pitch is known."""
    correlation: list[list[_Correlation]]
    """Of the channels' noise with each other, in their order."""
    told_apart: str
    """How film grain and digital noise were told apart, or why not."""

    @model_validator(mode="after")
    def _fits(self) -> Profile:
        count = len(self.channels)
        if not count:
            raise ValueError("there is no channel")
        if [len(row) for row in self.correlation] != [count] * count:
            raise ValueError(f"the correlation is not {count} x {count}")
        if len(self.frequencies) != BINS or len(self.frequencies_per_mm or self.frequencies) != BINS:
            raise ValueError(f"there are not {BINS} frequencies")
        return self

    @property
    def grain(self) -> bool:
        """Tell whether there is any."""
        return any(channel.curve for channel in self.channels.values())

    def as_data(self) -> dict[str, Any]:
        """Return plain data, as it stands in the file."""
        return self.model_dump(mode="json")


def save_profile(profile: Profile, path: Path) -> None:
    """Write a profile; the file is there whole or not at all.

    Raises GraphError where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps(profile.as_data(), indent=1, ensure_ascii=False)
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise GraphError(
            f"the grain profile cannot be written: {error.strerror}",
            file=path,
            remedy="Name a file in a folder that exists and can be written to.",
        ) from None


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises GraphError for a file that is not there, is no profile, is broken, or is of a newer version.
    """
    again = "Measure the plate again with 'safelight analyse'."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GraphError(
            f"the grain profile cannot be read: {error.strerror}",
            file=path,
            remedy="Check the path, or make a profile with 'safelight analyse'.",
        ) from None
    except (ValueError, RecursionError) as error:
        raise GraphError(f"the grain profile is no JSON text ({error})", file=path, remedy=again) from None
    version = data.get("safelight_grain") if isinstance(data, dict) else None
    if version is None:
        raise GraphError("this is no grain profile", file=path, remedy=again)
    if isinstance(version, int | float) and version > FORMAT:
        raise GraphError(
            f"the grain profile is of format {version}; this Safelight reads {FORMAT}",
            file=path,
            remedy="Update Safelight, or measure the plate again.",
        )
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise GraphError(
            f"the grain profile is broken{f' at {where}' if where else ''}: {first['msg']}", file=path, remedy=again
        ) from None
