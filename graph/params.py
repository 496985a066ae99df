"""Parameters of a node: one pydantic model is the source for documents, command line, hosts and documentation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["", "path", "colourspace"]


class Params(BaseModel):
    """Base of every node's parameters: frozen, strict about names, quick to serialise."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def param(
    default: Any = ...,
    help: str = "",  # the word every host and command line uses
    *,
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    kind: Kind = "",
    picture: bool = True,
) -> Any:
    """Declare one parameter.

    Parameters
    ----------
    default:
        Value when the document says nothing; leave out for a parameter that must be given.
    help:
        One or two sentences for a person, shown by every host.
    unit:
        Unit of the value ("stops", "µm", "frames", "pixels", "cd/m²"); empty for a plain number.
    ge, le, gt, lt:
        Range; values outside it are refused, not clamped.
    kind:
        "path" for files and folders (made absolute against the document's folder), "colourspace" for OCIO names.
    picture:
        False for a parameter that cannot change a pixel (a note, a report's path): it stays out of the signature.
    """
    return Field(
        default,
        description=help,
        ge=ge,
        le=le,
        gt=gt,
        lt=lt,
        json_schema_extra={"unit": unit, "kind": kind, "picture": picture},
    )


def extra(field: Any) -> dict[str, Any]:
    """Return what `param` stored beside a pydantic field: unit, kind, picture."""
    stored = field.json_schema_extra
    return stored if isinstance(stored, dict) else {}
