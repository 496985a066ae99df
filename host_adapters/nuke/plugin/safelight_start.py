"""What happens when Nuke starts: callbacks everywhere, menus where there is a GUI. Python 3.7.

Kept small: the node registry is read for the menu, everything else when it is first used.
"""

from __future__ import annotations

from typing import Any

import safelight_config
import safelight_nodes

import nuke

_ROOMS = {
    "io": "Test pictures",
    "colour": "Colour",
    "grain": "Grain",
    "motion": "Motion",
    "damage": "Damage",
    "merge": "Merge",
    "measure": "Measure",
    "resolution": "Resolution",
}


def everywhere() -> None:
    """Set up what farm machines need too."""
    config = safelight_config.load()
    if config.path_map:
        nuke.addFilenameFilter(config.local)
    nuke.addBeforeRender(_before_render)


def with_gui() -> None:
    """Make the menus, and look after results while somebody works."""
    found = safelight_nodes.load()
    nodes = nuke.menu("Nodes").addMenu("Safelight")
    rooms: dict[str, Any] = {}
    for name in sorted(found["nodes"], key=lambda name: (found["nodes"][name]["room"], name)):
        spec = found["nodes"][name]
        if name not in found["snippets"]:
            continue
        if spec["room"] not in rooms:
            rooms[spec["room"]] = nodes.addMenu(_ROOMS.get(spec["room"], spec["room"].capitalize()))
        rooms[spec["room"]].addCommand(name, _call("create", name), tooltip=spec["help"].partition("\n")[0])
    nodes.addCommand("Output", _call("create", "Output"), tooltip="Another output of the node above: grain, matte, …")
    nodes.addCommand("Settings", _call("create", "Settings"), tooltip="Cuts, colour config, switches of the document.")
    bar = nuke.menu("Nuke").addMenu("Safelight")
    bar.addCommand("Export selection…", _call("export_selection"))
    bar.addCommand("Import graph document…", _call("import_document"))
    bar.addCommand("Check results", _call("check_results"))
    bar.addCommand("About", _call("about"))
    nuke.addKnobChanged(_knob_changed)
    nuke.addOnScriptLoad(_script_loaded)


def _call(function: str, *arguments: str) -> str:
    words = ", ".join(repr(argument) for argument in arguments)
    return f"import safelight_panel; safelight_panel.{function}({words})"


def _before_render() -> None:
    import safelight_stale

    safelight_stale.before_render()


def _knob_changed() -> None:
    import safelight_stale

    safelight_stale.knob_changed()


def _script_loaded() -> None:
    import safelight_stale

    safelight_stale.look_quietly()
