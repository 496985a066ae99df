"""Nodes and knobs of the stand-in."""

from __future__ import annotations

import re
from typing import Any

from safelight.host_adapters.nuke.nk.parse import parse
from safelight.host_adapters.nuke.nk.script import Node
from safelight.host_adapters.nuke.nk.words import quote
from tests.stand_ins.nuke_like.host import Host, Strict

_EVERY = {
    "name": "String_Knob=",
    "label": "String_Knob=",
    "xpos": "XY_Position_Knob=0",
    "ypos": "XY_Position_Knob=0",
    "selected": "Boolean_Knob=false",
    "tile_color": "ColorChip_Knob=0",
    "disable": "Boolean_Knob=false",
}
_SAMPLES = "Enumeration_Knob=16 bit half|16 bit half,32 bit float"
_PACKED = "Enumeration_Knob=Zip (1 scanline)|none,Zip (1 scanline),Zip (16 scanlines),PIZ Wavelet (32 scanlines)"
_META = "Enumeration_Knob=default metadata|no metadata,default metadata,all metadata except input/*,all metadata"
KNOBS: dict[str, dict[str, str]] = {
    "Read": {
        "file": "File_Knob=",
        "first": "Int_Knob=1",
        "last": "Int_Knob=1",
        "origfirst": "Int_Knob=1",
        "origlast": "Int_Knob=1",
        "origset": "Boolean_Knob=false",
        "before": "Enumeration_Knob=hold|hold,loop,bounce,black",
        "after": "Enumeration_Knob=hold|hold,loop,bounce,black",
        "raw": "Boolean_Knob=false",
        "on_error": "Enumeration_Knob=error|error,black,checkerboard,nearest frame",
        "colorspace": "Enumeration_Knob=default|default,scene_linear,ACEScg,sRGB",
        "reload": "Script_Knob=",
    },
    "Write": {
        "file": "File_Knob=",
        "file_type": "Enumeration_Knob= | ,exr,dpx,tiff",
        "channels": "Channel_Knob=rgb",
        "raw": "Boolean_Knob=false",
        "create_directories": "Boolean_Knob=false",
        "colorspace": "Enumeration_Knob=default|default,scene_linear,ACEScg,sRGB",
        # Nuke makes these when file_type is set; so does the stand-in.
        "datatype": "later",
        "compression": "later",
        "metadata": "later",
    },
    "Grade": {"white": "Double_Knob=1"},
    "Blur": {"size": "Double_Knob=0"},
    "Dot": {},
    "NoOp": {},
    "Group": {},
    "Input": {"number": "Int_Knob=0"},
    "Output": {},
    "Switch": {"which": "Double_Knob=0"},
    "Root": {
        "colorManagement": "Enumeration_Knob=Nuke|Nuke,OCIO",
        "OCIO_config": "Enumeration_Knob=nuke-default|nuke-default,aces_1.2,custom",
        "customOCIOConfigPath": "File_Knob=",
        "workingSpaceLUT": "String_Knob=scene_linear",
        "format": "String_Knob=1920 1080",
        "first_frame": "Int_Knob=1",
        "last_frame": "Int_Knob=100",
        "proxy": "Boolean_Knob=false",
    },
}
_LATER = {"datatype": _SAMPLES, "compression": _PACKED, "metadata": _META}
_USER = {
    1: "String_Knob=",
    2: "File_Knob=",
    3: "Int_Knob=0",
    4: "Enumeration_Knob=",
    6: "Boolean_Knob=false",
    7: "Double_Knob=0",
    20: "Tab_Knob=",
    22: "PyScript_Knob=",
    26: "Text_Knob=",
    43: "Multiline_Eval_String_Knob=",
}
_ARRAYS = ("Int_Knob", "Double_Knob", "Boolean_Knob", "XY_Position_Knob", "ColorChip_Knob")


class StandKnob(Strict):
    """A knob."""

    def __init__(self, host: Host, name: str, what: str) -> None:
        super().__init__(host)
        self._kind, _, rest = what.partition("=")
        default, _, items = rest.partition("|")
        self._name, self._items, self._animated, self._linked = name, items.split(",") if items else [], False, False
        self._class = (
            "Array_Knob"
            if self._kind in _ARRAYS
            else {"File_Knob": "File_Knob", "Script_Knob": "Script_Knob", "PyScript_Knob": "Script_Knob"}.get(
                self._kind, "Knob"
            )
        )
        self._default = self._value = self._typed(default) if default or self._kind not in _ARRAYS else 0

    def _typed(self, value: Any) -> Any:
        if self._kind == "Boolean_Knob":
            return value in (True, "true", "1")
        if self._kind in ("Int_Knob", "XY_Position_Knob", "ColorChip_Knob"):
            return int(value, 0) if isinstance(value, str) else int(value)
        if self._kind == "Double_Knob":
            return float(value)
        if not isinstance(value, str):
            raise TypeError(f"{self._name}: {self._kind} takes text, not {value!r}")
        return value

    def _do_name(self) -> str:
        return self._name

    def _do_Class(self) -> str:
        return self._kind

    def _do_value(self) -> Any:
        return self._value

    def _do_setValue(self, value: Any, *rest: Any) -> bool | None:
        value = self._typed(value)
        if self._kind == "Enumeration_Knob" and self._items and value not in self._items:
            return None  # Nuke leaves the knob as it was
        self._value = value
        return True if self._class == "Array_Knob" else None

    def _do_toScript(self, *args: Any) -> str:
        return quote(str(self._value))

    def _do_isAnimated(self, *args: Any) -> bool:
        return self._animated

    def _do_hasExpression(self, *args: Any) -> bool:
        return self._linked

    def _do_getEvaluatedValue(self, *args: Any) -> str:
        text = re.sub(r"#+", lambda match: f"%0{len(match[0])}d", self._value)
        assert not re.search(r"(?:^|[^\\])\[", text), "the stand-in evaluates no Tcl"
        return re.sub(r"\\(.)", r"\1", text)

    def _do_execute(self) -> None:
        pass


class StandNode(Strict):
    """A node; a group and the root too."""

    def __init__(self, host: Host, kind: str, name: str, parent: StandNode | None = None) -> None:
        super().__init__(host)
        self._kind = kind
        self._class = kind if kind in ("Group", "Root") else "Node"
        self._children: list[StandNode] = []
        self._inputs: list[StandNode | None] = []
        self._parent = parent
        self._knobs: dict[str, StandKnob] = {}
        for knob, what in {**_EVERY, **KNOBS[kind]}.items():
            if what != "later":
                self._knobs[knob] = StandKnob(host, knob, what)
        if parent is not None:
            parent._children.append(self)
            self._rename(name)

    def _rename(self, name: str) -> None:
        assert self._parent is not None
        taken = {one._knobs["name"]._value for one in self._parent._children if one is not self}
        base, number = name.rstrip("0123456789"), 1
        while name in taken:
            name, number = f"{base}{number}", number + 1
        self._knobs["name"]._value = name

    def _add(self, name: str, what: str) -> StandKnob:
        return self._knobs.setdefault(name, StandKnob(self._host, name, what))

    def _snapshot(self) -> Any:
        return {
            "kind": self._kind,
            "knobs": {name: knob._value for name, knob in self._knobs.items()},
            "inputs": [up and up._do_fullName() for up in self._inputs],
            "nodes": [node._snapshot() for node in self._children],
        }

    def __getitem__(self, name: str) -> Any:
        found = self.knob(name)
        if found is None:
            raise NameError(f"knob {name} does not exist")
        return found

    def _do_Class(self) -> str:
        return self._kind

    def _do_name(self) -> str:
        return self._knobs["name"]._value if self._kind != "Root" else "root"

    def _do_fullName(self) -> str:
        if self._parent is None or self._parent._kind == "Root":
            return self._do_name()
        return f"{self._parent._do_fullName()}.{self._do_name()}"

    def _do_knob(self, name: str) -> Any:
        if self._kind == "Write" and name in _LATER and self._knobs["file_type"]._value == "exr":
            self._add(name, _LATER[name])
        return self._knobs.get(name)

    def _do_knobs(self) -> dict[str, Any]:
        return dict(self._knobs)

    def _do_inputs(self) -> int:
        return len(self._inputs)

    def _do_input(self, index: int) -> Any:
        return self._inputs[index] if index < len(self._inputs) else None

    def _do_setInput(self, index: int, node: Any) -> bool:
        while len(self._inputs) <= index:
            self._inputs.append(None)
        self._inputs[index] = node
        return True

    def _do_dependencies(self, what: int = 7) -> list[Any]:
        return [up for up in self._inputs if up is not None]

    def _do_firstFrame(self) -> int:
        return self._frames()[0]

    def _do_lastFrame(self) -> int:
        return self._frames()[1]

    def _frames(self) -> tuple[int, int]:
        if self._kind == "Read":
            return self._knobs["first"]._value, self._knobs["last"]._value
        if self._inputs and self._inputs[0] is not None:
            return self._inputs[0]._frames()
        root = self._host.the_root._knobs
        return root["first_frame"]._value, root["last_frame"]._value

    def _size(self) -> tuple[int, int]:
        from tests.stand_ins.nuke_like.pixels import picture

        made = picture(self, self._frames()[0])
        return made.spec.full_width, made.spec.full_height

    def _do_width(self) -> int:
        return self._size()[0]

    def _do_height(self) -> int:
        return self._size()[1]

    def _do_setName(self, name: str, uncollide: bool = True, updateExpressions: bool = False) -> None:
        self._rename(name)

    def _do_setXYpos(self, x: int, y: int) -> None:
        assert isinstance(x, int) and isinstance(y, int)
        self._knobs["xpos"]._value, self._knobs["ypos"]._value = x, y

    def _do_begin(self) -> StandNode:
        self._host.context.append(self)
        return self

    def _do_end(self) -> None:
        if len(self._host.context) > 1 and self._host.context[-1] is self:
            self._host.context.pop()

    def _do_nodes(self) -> list[Any]:
        return list(self._children)

    def _do_proxy(self) -> bool:
        return self._knobs["proxy"]._value


def paste(host: Host, text: str) -> StandNode:
    """Make the nodes of script text, the first input connected to what is selected."""
    selected = [node for node in host.context[-1]._children if node._knobs["selected"]._value]
    mark = "set cut_paste_input [stack 0]"
    script = parse(text.replace(mark, f"Dot {{\n inputs 0\n name pasted_on\n}}\n{mark}", 1))
    made: dict[Node, StandNode | None] = {
        node: (selected[0] if selected else None) for node in script.nodes if node.name == "pasted_on"
    }
    if script.root is not None:
        _fill(host.the_root, script.root)
    last = None
    for node in script.nodes:
        if node not in made:
            last = made[node] = _paste_one(host, node, host.context[-1], made)
    assert last is not None
    return last


def _paste_one(host: Host, node: Node, parent: StandNode, made: dict[Node, Any]) -> StandNode:
    one = StandNode(host, node.kind, node.name or node.kind, parent)
    _fill(one, node)
    one._inputs = [made[up] if up is not None else None for up in node.inputs]
    inside: dict[Node, Any] = {}
    for child in node.children or ():
        inside[child] = _paste_one(host, child, one, inside)
    return one


def _fill(one: StandNode, node: Node) -> None:
    for user in node.user_knobs:
        what = _USER[user.kind]
        if user.kind == 4:
            what = f"Enumeration_Knob={user.items[0]}|{','.join(user.items)}"
        knob = one._add(user.name, what)
        if user.kind == 26:
            knob._value = user.body
    for knob in node.knobs:
        if knob.name in ("inputs", "addUserKnob", "name"):
            continue
        target = one._do_knob(knob.name)
        assert target is not None, f"{node.kind} has no knob {knob.name}"
        if knob.words[0].kind == "braced":
            target._linked, target._expression = True, knob.words[0].text
        else:
            target._do_setValue(knob.text)
