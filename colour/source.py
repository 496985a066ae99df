"""Finds, reads and validates the OpenColorIO config that a document, the environment or nobody names."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PyOpenColorIO as OCIO

from safelight.colour.spaces import Cineon
from safelight.graph.errors import GraphError, did_you_mean

if TYPE_CHECKING:
    from safelight.graph.node import Settings

BUILTIN = "ocio://"
# Used when nobody names a config: the first that the installed OpenColorIO holds. Named in full, so that an update of
# OpenColorIO never changes what "latest" means behind a document's back.
STUDIO_CONFIGS = (
    "studio-config-v5.0.0_aces-v2.1_ocio-v2.6",
    "studio-config-v4.0.0_aces-v2.0_ocio-v2.5",
    "studio-config-v2.2.0_aces-v1.3_ocio-v2.4",
)
# In Python the second is not a kind of the first.
OCIO_ERRORS = (OCIO.Exception, OCIO.ExceptionMissingFile)
WHERE = "[colour]"
KEYS = ("config", "context", "cineon")


@dataclass(frozen=True, slots=True)
class Source:
    """Which config, with what context: all that a document and the environment say about it."""

    spec: str
    """Absolute path, or `ocio://…` with the full name of a built-in config."""
    said_by: str
    """`[colour] config`, `$OCIO`, or `default`."""
    context: tuple[tuple[str, str], ...] = ()
    cineon: Cineon = field(default_factory=Cineon)

    @property
    def path(self) -> Path | None:
        """Return the config's file; None for a built-in one."""
        return None if self.spec.startswith(BUILTIN) else Path(self.spec)


def source_for(settings: Settings) -> Source:
    """Read the `[colour]` table of a document; raises GraphError on what cannot be meant."""
    table = settings.section("colour")
    for key in table:
        if key not in KEYS:
            raise GraphError(
                f"there is no setting '{key}'",
                where=WHERE,
                remedy=did_you_mean(key, KEYS) or f"Known: {', '.join(KEYS)}.",
            )
    named = table.get("config", "")
    if not isinstance(named, str):
        raise GraphError("'config' must be a path or a name such as 'ocio://default'", where=WHERE)
    spec, said_by = named, f"{WHERE} config"
    if not spec:
        spec, said_by = os.environ.get("OCIO", ""), "$OCIO"
    if not spec:
        spec, said_by = BUILTIN + _newest_studio(), "default"
    if spec.startswith(BUILTIN):
        spec = BUILTIN + _builtin(spec.removeprefix(BUILTIN), said_by)
    else:
        # A document's path starts at the document, the environment's at the working directory, as everywhere.
        spec = os.path.abspath(settings.folder / spec if named else spec)  # noqa: PTH100  (keeps links: LUTs lie beside)
    return Source(spec, said_by, _context(table.get("context", {})), _cineon(table.get("cineon", {})))


def _newest_studio() -> str:
    there = {entry[0] for entry in OCIO.BuiltinConfigRegistry().getBuiltinConfigs()}
    for name in STUDIO_CONFIGS:
        if name in there:
            return name
    raise GraphError(
        f"OpenColorIO {OCIO.__version__} holds none of the ACES studio configs",
        remedy="Name a config in [colour], or install opencolorio 2.4 or newer.",
    )


def _builtin(name: str, said_by: str) -> str:
    known = [entry[0] for entry in OCIO.BuiltinConfigRegistry().getBuiltinConfigs()]
    short = ["default", "cg-config-latest", "studio-config-latest"]
    full = OCIO.ResolveConfigPath(BUILTIN + name).removeprefix(BUILTIN)
    if full == "default":
        full = OCIO.BuiltinConfigRegistry().getDefaultBuiltinConfigName()
    if full not in known:
        raise GraphError(
            f"OpenColorIO {OCIO.__version__} has no built-in config '{name}'",
            where=said_by,
            remedy=did_you_mean(name, [*known, *short]) or f"It has {', '.join([*short, *known])}.",
        )
    return str(full)


def _context(table: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(table, Mapping):
        raise GraphError("'context' must be a table of names and values", where=WHERE)
    for name, value in table.items():
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise GraphError(f"context variable '{name}' must be text", where=WHERE)
    return tuple(sorted((name, str(value)) for name, value in table.items()))


def _cineon(table: Any) -> Cineon:
    known = [entry.name for entry in fields(Cineon)]
    if not isinstance(table, Mapping):
        raise GraphError(f"'cineon' must be a table of {', '.join(known)}", where=WHERE)
    for name, value in table.items():
        if name not in known:
            raise GraphError(
                f"cineon has no setting '{name}'",
                where=WHERE,
                remedy=did_you_mean(name, known) or f"Known: {', '.join(known)}.",
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise GraphError(f"cineon {name} must be a number", where=WHERE)
    made = Cineon(**{name: float(value) for name, value in table.items()})
    if not (made.black < made.white and 0 < made.gamma < 10 and 0 < made.density < 1):
        raise GraphError(
            f"no curve has black {made.black:g}, white {made.white:g}, gamma {made.gamma:g}, density {made.density:g}",
            where=WHERE,
            remedy="Black must lie below white; gamma (about 0.6) and density a code (about 0.002) must be positive.",
        )
    return made


def read(source: Source) -> OCIO.Config:
    """Read and validate a config; raises GraphError with the file, what is wrong in it, and the remedy."""
    path = source.path
    if path is None:
        return OCIO.Config.CreateFromBuiltinConfig(source.spec.removeprefix(BUILTIN))
    if not path.is_file():
        there = sorted(entry.name for entry in path.parent.glob("*.ocio*")) if path.parent.is_dir() else []
        raise GraphError(
            "there is no such colour config" if not path.is_dir() else "the colour config is a folder",
            where=source.said_by,
            file=path,
            remedy=did_you_mean(path.name, there) or "Give the path of a .ocio or .ocioz file.",
        )
    try:
        with _quiet():
            config = OCIO.Config.CreateFromFile(str(path))
    except (*OCIO_ERRORS, UnicodeDecodeError) as error:
        raise GraphError(
            f"the colour config cannot be read: {reason(error)}",
            where=source.said_by,
            file=path,
            remedy="Check it with ociocheck.",
        ) from error
    try:
        with _quiet():
            config.validate()
    except OCIO_ERRORS as error:
        raise GraphError(
            f"the colour config is not valid: {reason(error)}",
            where=source.said_by,
            file=path,
            remedy="Mend the config; ociocheck lists all that is wrong with it.",
        ) from error
    return config


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenColorIO from writing to standard error what its exception says as well."""
    level = OCIO.GetLoggingLevel()
    OCIO.SetLoggingLevel(OCIO.LOGGING_LEVEL_NONE)
    try:
        yield
    finally:
        OCIO.SetLoggingLevel(level)


def working_space(config: OCIO.Config, source: Source) -> str:
    """Return the name of the space behind the role `scene_linear`; raises GraphError where there is none."""
    role = config.getRoleColorSpace("scene_linear") if config.hasRole("scene_linear") else ""
    space = config.getColorSpace(role) if role else None
    if space is None or space.isData() or space.getReferenceSpaceType() != OCIO.REFERENCE_SPACE_SCENE:
        found = f"stands for '{role}', which is no scene-referred colour space" if role else "is missing"
        raise GraphError(
            f"the role 'scene_linear' of the colour config {found}",
            where=source.said_by,
            file=source.path,
            remedy="Safelight works in that space: set 'scene_linear' under 'roles' in the config.",
        )
    return str(space.getName())


def context_for(config: OCIO.Config, source: Source) -> OCIO.Context:
    """Return the config's context with the document's variables; raises GraphError on one the config never uses."""
    context = copy.deepcopy(config.getCurrentContext())
    known = variables(config)
    for name, value in source.context:
        if name not in known:
            raise GraphError(
                f"the colour config uses no context variable '{name}'",
                where=f"{WHERE} context",
                file=source.path,
                remedy=did_you_mean(name, known)
                or (f"It uses {', '.join(sorted(known))}." if known else "It uses none: take the table out."),
            )
        context[name] = value
    return context


_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)|%(\w+)%")


def variables(config: OCIO.Config) -> set[str]:
    """Return the context variables that a config declares or uses in a path or name."""
    text = config.serialize()
    used = {next(name for name in found if name) for found in _VARIABLE.findall(text)}
    return used | set(config.getEnvironmentVarNames())


def lut_files(config: OCIO.Config) -> Iterator[tuple[str, str]]:
    """Yield (file name as written, where it is used) for every table file of a config, each once."""
    seen: set[str] = set()
    for where, transform in _transforms(config):
        for leaf in _leaves(transform):
            if isinstance(leaf, OCIO.FileTransform) and leaf.getSrc() not in seen:
                seen.add(leaf.getSrc())
                yield leaf.getSrc(), where


def _transforms(config: OCIO.Config) -> Iterator[tuple[str, Any]]:
    directions = (OCIO.COLORSPACE_DIR_TO_REFERENCE, OCIO.COLORSPACE_DIR_FROM_REFERENCE)
    views = (OCIO.VIEWTRANSFORM_DIR_TO_REFERENCE, OCIO.VIEWTRANSFORM_DIR_FROM_REFERENCE)
    sides = (OCIO.TRANSFORM_DIR_FORWARD, OCIO.TRANSFORM_DIR_INVERSE)
    for name in config.getColorSpaceNames(OCIO.SEARCH_REFERENCE_SPACE_ALL, OCIO.COLORSPACE_ALL):
        space = config.getColorSpace(name)
        yield from ((f"colour space '{name}'", space.getTransform(side)) for side in directions)
    for view in config.getViewTransforms():
        yield from ((f"view transform '{view.getName()}'", view.getTransform(side)) for side in views)
    for look in config.getLooks():
        yield from ((f"look '{look.getName()}'", found) for found in (look.getTransform(), look.getInverseTransform()))
    for name in config.getNamedTransformNames(OCIO.NAMEDTRANSFORM_ALL):
        named = config.getNamedTransform(name)
        yield from ((f"named transform '{name}'", named.getTransform(side)) for side in sides)


def _leaves(transform: Any) -> Iterator[Any]:
    if isinstance(transform, OCIO.GroupTransform):
        for child in transform:
            yield from _leaves(child)
    elif transform is not None:
        yield transform


def reason(error: Exception) -> str:
    """Return what OpenColorIO says, in one line without its prefixes."""
    text = " ".join(str(error).split())
    return re.sub(r"^Error: Loading the OCIO profile .*? failed\. ", "", text).rstrip(".")
