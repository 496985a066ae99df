"""A Nuke script as data: nodes, what feeds them, knobs as they were written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from safelight.host_adapters.nuke.nk.words import Word, quote

STRING, FILE, INT, ENUM, BOOL, DOUBLE = 1, 2, 3, 4, 6, 7
COLOUR, TAB, PYSCRIPT, TEXT, LINK, MULTILINE = 18, 20, 22, 26, 41, 43
"""Numbers of the kinds of user knob, as `addUserKnob` writes them."""


@dataclass(frozen=True)
class Knob:
    """One line of a node's block."""

    name: str
    words: tuple[Word, ...]
    raw: str
    """The value as it stands in the text."""
    line: int = 0

    @property
    def text(self) -> str:
        """The value, escapes undone; of several words, these joined by spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def live(self) -> bool:
        """Tell whether Tcl or an expression would have a say in the value."""
        return any(word.live or (word.kind == "braced" and "{" in word.text) for word in self.words)


@dataclass(frozen=True)
class UserKnob:
    """A knob that a user (or we) added to a node: what `addUserKnob` says."""

    kind: int
    name: str
    label: str | None = None
    tooltip: str = ""
    items: tuple[str, ...] = ()
    """Choices of an enumeration."""
    span: tuple[float, float] | None = None
    """Ends of the slider."""
    flags: tuple[str, ...] = ()
    """`+STARTLINE`, `+INVISIBLE`, …"""
    body: str = ""
    """Script of a button, text of a text knob, target of a link."""

    def write(self) -> str:
        """Return the line of script, without indent."""
        parts = [str(self.kind), quote(self.name)]
        if self.label is not None:
            parts += ["l", quote(self.label)]
        if self.tooltip:
            parts += ["t", quote(self.tooltip)]
        parts += self.flags
        if self.body:
            parts += ["T", quote(self.body)]
        if self.items:
            parts += ["M", "{" + " ".join(quote(item) for item in self.items) + "}"]
        if self.span is not None:
            parts += ["R", *(f"{end:g}" for end in self.span)]
        return f"addUserKnob {{{' '.join(parts)}}}"


@dataclass(eq=False)
class Node:
    """One node. Two are the same only if they are one object."""

    kind: str
    """Nuke's class: `Read`, `Group`, `OFXcom.vendor.plugin_v1`, …"""
    knobs: list[Knob] = field(default_factory=list)
    user_knobs: list[UserKnob] = field(default_factory=list)
    inputs: list[Node | None] = field(default_factory=list)
    children: list[Node] | None = None
    """Nodes of a group; None for every other class."""
    line: int = 0
    clone_of: Node | None = None
    """The node whose knobs this clone shares."""

    @property
    def name(self) -> str:
        """The node's name; empty where the text gives none."""
        return self.text("name")

    def knob(self, name: str) -> Knob | None:
        """Return a knob's line, the last where there are several; a clone answers for its original too."""
        for knob in reversed(self.knobs):
            if knob.name == name:
                return knob
        return self.clone_of.knob(name) if self.clone_of is not None else None

    def text(self, name: str, default: str = "") -> str:
        """Return a knob's value as text."""
        knob = self.knob(name)
        return knob.text if knob is not None else default

    def put(self, name: str, value: str) -> None:
        """Add a knob line with one word as its value."""
        self.knobs.append(Knob(name, (Word(value, "quoted", 0),), quote(value)))

    def put_raw(self, name: str, raw: str) -> None:
        """Add a knob line whose value is script text already."""
        self.knobs.append(Knob(name, (), raw))

    def input(self, index: int) -> Node | None:
        """Return what feeds an input."""
        return self.inputs[index] if index < len(self.inputs) else None


SELECTED = Node("")
"""Stands for the node that is selected where the text is pasted."""


@dataclass
class Script:
    """All that a script holds."""

    nodes: list[Node] = field(default_factory=list)
    """Nodes at the top, in the order of the text."""
    root: Node | None = None
    """Settings of the script, where it has them."""
    version: str = ""
    """Version of Nuke that wrote it, as it says."""
    clipboard: bool = False
    """Begins as a copied selection does."""


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """Yield all nodes, those inside groups after their group."""
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children or ()))
