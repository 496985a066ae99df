"""The part of Nuke's Python interface that the plug-in may use, written by hand from the published reference.

Class -> method -> least and most arguments, what may come back, the version that first has it, whether it needs a GUI,
and the threads it may be called on. The stand-in refuses whatever is not here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One function or method."""

    least: int
    most: int
    kinds: tuple[str, ...]
    """Names of Python types, or of classes of the stand-in: what a call may return."""
    since: str = "9.0"
    gui: bool = False
    """Raises RuntimeError where there is no GUI."""
    thread: str = "main"
    """`main`, `other` (hangs on the main thread) or `any`."""


def _call(text: str) -> Call:
    """Read `least-most kinds [since] [gui] [any|other]`."""
    counts, kinds, *rest = text.split()
    least, _, most = counts.partition("-")
    since = next((word for word in rest if word[0].isdigit()), "9.0")
    thread = next((word for word in rest if word in ("any", "other")), "main")
    return Call(int(least), int(most or least), tuple(kinds.split("|")), since, "gui" in rest, thread)


def _table(**calls: str) -> dict[str, Call]:
    return {name: _call(text) for name, text in calls.items()}


CALLS: dict[str, dict[str, Call]] = {
    "nuke": _table(
        addBeforeRender="1-5 NoneType",
        addFilenameFilter="1 NoneType",
        addKnobChanged="1-6 NoneType",
        addOnScriptLoad="1-4 NoneType",
        allNodes="0-3 list",
        choice="3-4 int|NoneType gui",
        delete="1 NoneType",
        execute="1-6 NoneType",
        executeInMainThread="1-3 NoneType 9.0 any",
        getFilename="1-6 str|list|NoneType gui",
        getOcioColorSpaces="0 list 10.5",
        menu="1 Menu gui",
        message="1 NoneType gui",
        nodePaste="1 Node",
        pluginAddPath="1-2 NoneType",
        pluginPath="0 list",
        root="0 Root",
        scriptOpen="1 NoneType",
        selectedNodes="0-1 list",
        thisKnob="0 Knob|NoneType",
        thisNode="0 Node|NoneType",
        toNode="1 Node|NoneType",
        tprint="0-9 NoneType 9.0 any",
        views="0 list",
        ProgressTask="1 ProgressTask 9.0 any",
        Undo="0 Undo",
    ),
    "Menu": _table(addCommand="1-7 MenuItem", addMenu="1-5 Menu", findItem="1 Menu|MenuItem|NoneType"),
    "MenuItem": {},
    "ProgressTask": _table(
        setProgress="1 NoneType 9.0 any", setMessage="1 NoneType 9.0 any", isCancelled="0 bool 9.0 any"
    ),
    "Undo": _table(disable="0 NoneType", enable="0 NoneType"),
    "Node": _table(
        Class="0 str",
        name="0 str",
        fullName="0 str",
        knob="1-2 Knob|NoneType",
        knobs="0 dict",
        inputs="0 int",
        input="1 Node|NoneType",
        setInput="2 bool",
        dependencies="0-1 list",
        firstFrame="0 int",
        lastFrame="0 int",
        width="0 int",
        height="0 int",
        setName="1-3 NoneType",
        setXYpos="2 NoneType",
    ),
    "Group": _table(begin="0 Group", end="0 NoneType", nodes="0 list"),
    "Root": _table(proxy="0 bool"),
    "Knob": _table(name="0 str", Class="0 str", value="0-1 object", setValue="1-4 bool|NoneType", toScript="0-3 str"),
    "Array_Knob": _table(isAnimated="0-2 bool", hasExpression="0-1 bool"),
    "File_Knob": _table(getEvaluatedValue="0-1 str|NoneType"),
    "Script_Knob": _table(execute="0 NoneType"),
}
"""What there is."""

BASES: dict[str, tuple[str, ...]] = {
    "Group": ("Node",),
    "Root": ("Group", "Node"),
    "Array_Knob": ("Knob",),
    "File_Knob": ("Knob",),
    "Script_Knob": ("Knob",),
}
"""Which class has the methods of which others too."""

CONSTANTS: dict[str, object] = {"INPUTS": 1, "HIDDEN_INPUTS": 2, "EXPRESSIONS": 4}
VALUES = ("GUI", "EXE_PATH", "NUKE_VERSION_STRING", "env", "nodes")
"""Values of the module that are no functions."""
ENV = ("nc", "indie", "gui", "studio", "NukeVersionString", "ExecutablePath")
"""Keys of `nuke.env`."""


def find(name: str, method: str) -> tuple[str, Call] | None:
    """Return where a class has a method from, and what it takes."""
    for one in (name, *BASES.get(name, ())):
        if method in CALLS.get(one, {}):
            return one, CALLS[one][method]
    return None
