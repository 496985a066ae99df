"""The colour of a document: an OpenColorIO config with its context, and the spaces that files are in by default."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PyOpenColorIO as OCIO

from safelight.colour.display import Display, display_named
from safelight.colour.processor import Processor
from safelight.colour.source import (
    OCIO_ERRORS,
    Source,
    context_for,
    lut_files,
    read,
    reason,
    source_for,
    variables,
    working_space,
)
from safelight.colour.spaces import ADX10, ADX16, CINEON, SRGB_NAMES, add_missing
from safelight.graph.errors import GraphError, did_you_mean

if TYPE_CHECKING:
    from safelight.graph.device import Device
    from safelight.graph.node import Settings

Stamp = tuple[Any, ...]
DISPLAY_NAME = "<USE_DISPLAY_NAME>"  # what a view shared by displays says in place of their colour space


class ColourConfig:
    """An OCIO config with its context, validated.

    A name is a colour space's name, alias or role (upper and lower case alike, inactive spaces included), one of the
    spaces that Safelight adds (Cineon, ADX10, ADX16, see `spaces`), or a view of a display as `Display/View`.

    Attributes
    ----------
    name:
        The full `ocio://…` name of a built-in config, else the path of the file.
    working:
        Name of the space behind the role `scene_linear`: the space of all pixels between nodes.
    builtin:
        True for a config that comes with OpenColorIO.
    warnings:
        What is wrong with parts of the config that nobody may need: files of tables that are missing.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.name = source.spec
        self.builtin = source.path is None
        config = read(source)
        self.working = working_space(config, source)
        self._stamped = [(name, where) for name, where in lut_files(config)]
        self._variables = sorted(variables(config))
        self.context = context_for(config, source)
        self.config = add_missing(config, self.working, source.cineon)
        self._processors: dict[tuple[str, str], Processor] = {}
        self._lock = threading.Lock()
        self.warnings = tuple(
            f"{where} needs the file '{name}', which is not in the search path"
            for name, where in self._stamped
            if self._locate(name) is None and not self._archive
        )
        self.stamp = self._current_stamp()

    def __repr__(self) -> str:
        return f"ColourConfig({self.name!r})"

    # --- names ---------------------------------------------------------------------------------------------------

    def resolve(self, name: str) -> str:
        """Return the canonical name of a space or of a `Display/View`.

        Raises
        ------
        GraphError
            There is none of that name; the remedy names the nearest.
        """
        space = self.config.getColorSpace(name) if name else None
        if space is not None:
            return str(space.getName())
        view = self._views.get(name.casefold())
        if view is not None:
            return "/".join(view)
        if name.upper() in (ADX10, ADX16):
            raise GraphError(
                f"'{name}' needs the role 'aces_interchange', which the colour config does not set",
                file=self.source.path,
                remedy="Set 'aces_interchange' under 'roles' in the config to its ACES2065-1 space.",
            )
        raise GraphError(
            f"the colour config has no colour space '{name}'",
            file=self.source.path,
            remedy=did_you_mean(name, self.names())
            or "Use a colour space, alias or role of the config, or a 'Display/View'.",
        )

    def names(self) -> list[str]:
        """Return all names that `resolve` knows: spaces, aliases, roles, and views as `Display/View`."""
        spaces = [
            self.config.getColorSpace(name)
            for name in self.config.getColorSpaceNames(OCIO.SEARCH_REFERENCE_SPACE_ALL, OCIO.COLORSPACE_ALL)
        ]
        found = [space.getName() for space in spaces]
        found += [alias for space in spaces for alias in space.getAliases()]
        found += self.config.getRoleNames()
        found += ["/".join(view) for view in self._views.values()]
        return list(dict.fromkeys(found))

    @cached_property
    def _views(self) -> dict[str, tuple[str, str]]:
        config = self.config
        return {
            f"{display}/{view}".casefold(): (display, view)
            for display in config.getDisplaysAll()
            for view in config.getViews(display)
        }

    def file_space(self, path: Path) -> str | None:
        """Return the space that the config's file rules give a file; None when only the default rule applies."""
        if self.config.filepathOnlyMatchesDefaultRule(str(path)):
            return None
        name, _rule = self.config.getColorSpaceFromFilepath(str(path))
        return self.resolve(name) if name else None

    def display_of(self, name: str) -> Display | None:
        """Return the display that a space or view encodes for, where the config says it by a name of the Color Interop
        Forum (`pq_rec2020_display`); None for all others."""
        space = self.config.getColorSpace(self._light_space(self.resolve(name)))
        if space is None:
            return None
        said = (*space.getAliases(), getattr(space, "getInteropID", str)())
        return next((found for alias in said if (found := display_named(alias)) is not None), None)

    def space_of(self, display: Display) -> str | None:
        """Return the config's space of a display's signal; None where it has none."""
        space = self.config.getColorSpace(display.interop) if display.interop else None
        return None if space is None else str(space.getName())

    def _light_space(self, name: str) -> str:
        """Return the display colour space behind a view; of a space, itself."""
        if self._view(name) is None:
            return name
        display, view = self._views[name.casefold()]
        return str(self.config.getDisplayViewColorSpaceName(display, view)).replace(DISPLAY_NAME, display)

    # --- pixels --------------------------------------------------------------------------------------------------

    def processor(self, source: str, target: str) -> Processor:
        """Return the transform between two names, built and checked; kept for the next time.

        Raises
        ------
        GraphError
            A name is unknown, or the transform cannot be made: a missing file, a view that cannot be undone.
        """
        key = self.resolve(source), self.resolve(target)
        with self._lock:
            if key not in self._processors:
                self._processors[key] = self._build(*key)
            return self._processors[key]

    def _build(self, source: str, target: str) -> Processor:
        try:
            if source == target:
                return Processor(self.config.getProcessor(OCIO.GroupTransform([])))
            transform = self._transform(source, target)
            return Processor(self.config.getProcessor(self.context, transform, OCIO.TRANSFORM_DIR_FORWARD))
        except OCIO.ExceptionMissingFile as error:
            unset = [name for name in self._variables if not self._value(name)]
            raise GraphError(
                f"'{source}' to '{target}' needs a file that is missing: {reason(error)}",
                file=self.source.path,
                remedy="Put it in the config's search path"
                + (f", or set the context variable {', '.join(unset)} in [colour] context." if unset else "."),
            ) from error
        except OCIO.Exception as error:
            raise GraphError(
                f"'{source}' cannot be converted to '{target}': {reason(error)}",
                file=self.source.path,
                remedy="Name another space"
                + (", or a view that can be undone." if self._views.get(source.casefold()) else "."),
            ) from error

    def _transform(self, source: str, target: str) -> OCIO.Transform:
        here, there = self._view(source), self._view(target)
        if here and there:
            return OCIO.GroupTransform([self._transform(source, self.working), self._transform(self.working, target)])
        if there:
            return OCIO.DisplayViewTransform(src=source, display=there[0], view=there[1])
        if here:
            return OCIO.DisplayViewTransform(
                src=target, display=here[0], view=here[1], direction=OCIO.TRANSFORM_DIR_INVERSE
            )
        return OCIO.ColorSpaceTransform(src=source, dst=target)

    def assembled(self, key: str, steps: Sequence[OCIO.Transform]) -> Processor:
        """Return a transform made of steps rather than of two names, kept under `key` for the next time."""
        with self._lock:
            known = "assembled", key
            if known not in self._processors:
                group = OCIO.GroupTransform(list(steps))
                built = self.config.getProcessor(self.context, group, OCIO.TRANSFORM_DIR_FORWARD)
                self._processors[known] = Processor(built)
            return self._processors[known]

    def _view(self, name: str) -> tuple[str, str] | None:
        return None if self.config.getColorSpace(name) else self._views.get(name.casefold())

    def is_noop(self, source: str, target: str) -> bool:
        """Tell whether converting changes nothing, bit for bit."""
        return self.processor(source, target).noop

    def fingerprint(self, source: str, target: str) -> str:
        """Return a hash of all that converted pixels depend on; edits elsewhere in the config leave it alone."""
        return self.processor(source, target).fingerprint

    def convert(self, pixels: Any, source: str, target: str, device: Device) -> Any:
        """Return pixels converted from one space to another.

        Parameters
        ----------
        pixels:
            (3, height, width) float32, planar red, green, blue, numpy or CuPy as `device` says. Any values: negative,
            above 1, not finite; nothing is clamped beyond what the config's transforms do by definition.
        source, target:
            Names as `resolve` knows them.
        device:
            Where the pixels are; rows are shared among `device.threads` without any change to the result.

        Returns
        -------
        A new array of the same shape, or the same object when there is nothing to do.
        """
        return self.processor(source, target).apply(pixels, device)

    def to_xyz(self, pixels: Any, source: str, device: Device) -> Any:
        """Return the CIE XYZ (1931, D65 adapted by Bradford, Y = 1 for white) of pixels in a space.

        Scene-referred spaces give scene light, no view in between; displays give the light of the display, 1 = its
        reference white. Goes by the config's role `aces_interchange`, for displays `cie_xyz_d65_interchange`.

        Raises
        ------
        GraphError
            The config does not set the role: then nobody knows where its spaces stand.
        """
        name = self.resolve(source)
        space = self.config.getColorSpace(name)
        scene = space is not None and space.getReferenceSpaceType() == OCIO.REFERENCE_SPACE_SCENE
        role = "aces_interchange" if scene else "cie_xyz_d65_interchange"
        if not self.config.hasRole(role):
            raise GraphError(
                f"the role '{role}' of the colour config is missing: its colours cannot be measured",
                file=self.source.path,
                remedy=f"Set '{role}' under 'roles' in the config.",
            )
        if not scene:
            if space is None:  # a view: its display's light
                name = self.resolve(self._light_space(name))
            return self.convert(pixels, name, role, device)
        with self._lock:
            key = name, "CIE XYZ D65"
            if key not in self._processors:
                steps = [
                    OCIO.ColorSpaceTransform(src=name, dst=role, dataBypass=False),
                    OCIO.BuiltinTransform("UTILITY - ACES-AP0_to_CIE-XYZ-D65_BFD"),
                ]
                group = OCIO.GroupTransform(steps)
                built = self.config.getProcessor(self.context, group, OCIO.TRANSFORM_DIR_FORWARD)
                self._processors[key] = Processor(built)
            return self._processors[key].apply(pixels, device)

    # --- what it all depends on -----------------------------------------------------------------------------------

    @cached_property
    def hash(self) -> str:
        """Hash of the config, its context, and the contents of all its table files that exist."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{OCIO.__version__}\n{self.config.serialize()}\n".encode())
        for name in self._variables:
            digest.update(f"{name}={self._value(name)}\n".encode())
        files = [self._locate(name) for name, _where in self._stamped]
        if self._archive:
            files.append(self.source.path)
        for file in files:
            digest.update(hashlib.blake2b(file.read_bytes()).digest() if file is not None else b"-")
        return digest.hexdigest()

    @property
    def _archive(self) -> bool:
        return self.source.path is not None and self.source.path.suffix.lower() == ".ocioz"

    def _value(self, variable: str) -> str:
        return str(self.context[variable]) if variable in self.context else ""

    def _locate(self, name: str) -> Path | None:
        try:
            found = Path(self.context.resolveFileLocation(name))
        except OCIO_ERRORS:
            return None
        return found if found.is_file() else None

    def _current_stamp(self) -> Stamp:
        """Return what tells cheaply whether files or environment have changed since the config was read."""
        files = [self.source.path, *(self._locate(name) for name, _where in self._stamped)]
        return (tuple(map(_stat, files)), tuple(os.environ.get(name) for name in self._variables))

    def stale(self) -> bool:
        """Tell whether the config, a table file or a variable it uses has changed since it was read."""
        return self._current_stamp() != self.stamp


def _stat(path: Path | None) -> tuple[str, int, int] | None:
    try:
        facts = path.stat() if path is not None else None
    except OSError:
        return None
    return (str(path), facts.st_mtime_ns, facts.st_size) if facts else None


_configs: dict[Source, ColourConfig] = {}
_configs_lock = threading.Lock()


def config_for(settings: Settings, *, fresh: bool = True) -> ColourConfig:
    """Return the config of a document: `[colour] config`, else `$OCIO`, else the built-in ACES studio config.

    Parameters
    ----------
    settings:
        The document's settings; its table `[colour]` may hold `config` (a path relative to the document, or
        `ocio://…`), `context` (variables), and `cineon` (see `spaces.Cineon`).
    fresh:
        Look whether the files have changed since last time, and read them again if so. Nodes leave it out while they
        render, so that all frames of a render have one colour.

    Raises
    ------
    GraphError
        There is no such config, it cannot be read, is not valid, lacks the role `scene_linear`, or does not know a
        context variable.
    """
    source = source_for(settings)
    with _configs_lock:
        known = _configs.get(source)
        if known is not None and fresh and known.stale():
            # OpenColorIO keeps every table file it has read, whatever happens to the file.
            OCIO.ClearAllCaches()
            known = None
        if known is None:
            known = _configs[source] = ColourConfig(source)
        return known


def default_space(config: ColourConfig, path: Path, *, floating: bool, log: bool) -> str:
    """Return the space of a file when nobody says (Read and Write, colourspace "auto").

    In this order: a file rule of the config other than its default rule; the working space for floating-point files;
    Cineon for integer files that say they hold a film log (Cineon, and DPX flagged so); else sRGB.

    The built-in configs' rule that every EXR is ACES2065-1 is not followed: nobody who made the file said so, and
    files between the steps of a pipeline are in the working space; a bare Read and Write must not touch their bits.

    Parameters
    ----------
    floating:
        The file holds floating-point samples.
    log:
        The file says that it holds printing density or another film log.
    """
    ruled = None if floating and config.builtin else config.file_space(path)
    if ruled is not None:
        return ruled
    if floating:
        return config.working
    if log:
        return config.resolve(CINEON)
    for name in SRGB_NAMES:
        space = config.config.getColorSpace(name)
        if space is not None:
            return str(space.getName())
    raise GraphError(
        "the colour config names no sRGB space for picture files",
        file=path,
        remedy="Name the file's colourspace, or set the role 'texture_paint' or 'aces_interchange' in the config.",
    )
