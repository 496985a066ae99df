"""Which colour config the script works in, and in which space. Python 3.7, standard library only."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from safelight_files import role_of
from safelight_names import REC709


class Colour:
    """The colour of a script."""

    def __init__(self, config: str, space: str, said_by: str) -> None:
        self.config = config
        """Path or ocio:// name, for [colour] of a document."""
        self.space = space
        """Working space: of the files that go to the engine and come back."""
        self.said_by = said_by

    def __str__(self) -> str:
        return f"{self.space} of {'/'.join(self.config.split('/')[-2:])} ({self.said_by})"


def of_script(knob: Callable[[str], str], plugin_paths: list[str], here: str, env: Any = None) -> Colour:
    """Return the colour of a script: env OCIO, then the custom config, then the stock one.

    Parameters
    ----------
    knob:
        Gives a knob of the script's root as text.
    plugin_paths:
        Nuke's plug-in folders: the stock configs lie in one of them.
    here:
        Folder of the plug-in.

    Raises ValueError, in words for a person, where the config is not to be found.
    """
    env = os.environ if env is None else env
    management = knob("colorManagement")
    space = role_of(knob("workingSpaceLUT")) or "scene_linear"
    if management == "Nuke":
        path = os.path.join(here, REC709)
        if not os.path.isfile(path):
            raise ValueError(f"{path} is missing. Run 'safelight nuke install' again.")
        return Colour(path, "scene_linear", "Nuke colour management: linear Rec.709")
    if env.get("OCIO"):
        return Colour(env["OCIO"], space, "environment OCIO")
    name = knob("OCIO_config")
    custom = knob("customOCIOConfigPath")
    if name == "custom" and custom:
        if not custom.startswith("ocio://") and not os.path.isfile(custom):
            raise ValueError(f"the script's OCIO config {custom} is not there. Mend it in Project Settings, Color.")
        return Colour(custom, space, "custom config of the script")
    for path in _stock(name, plugin_paths):
        if os.path.isfile(path):
            return Colour(path.replace("\\", "/"), space, f"Nuke's config {name}")
    raise ValueError(
        f"Nuke's OCIO config '{name}' was not found beside Nuke. Choose 'custom' in Project Settings, Color, and name "
        "its file, or set OCIO in the environment."
    )


def _stock(name: str, plugin_paths: list[str]) -> list[str]:
    found = []
    for folder in plugin_paths:
        for base in (os.path.join(folder, "OCIOConfigs", "configs"), os.path.join(folder, "configs")):
            found += [os.path.join(base, name, "config.ocio"), os.path.join(base, f"{name}.ocio")]
    return found
