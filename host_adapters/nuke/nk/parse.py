"""The reader of Nuke scripts: a stack machine that knows seven words and runs nothing.

A node takes `inputs N` nodes off the stack (its input 0 first; one where it does not say) and lays itself on it;
`set NAME [stack 0]` gives the topmost a name, `push $NAME` and `push 0` (nothing) lay one on it; a group has a stack
of its own up to `end_group`. Classes that nobody knows are kept as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from safelight.host_adapters.nuke.nk.script import Knob, Node, Script, UserKnob
from safelight.host_adapters.nuke.nk.words import Lexer, NkError, Word

MOST_INPUTS = 1000
DEEPEST = 64
"""Groups in groups."""
_PASSED_OVER = {"add_layer", "add_format", "define_window_layout_xml", "knobDefault"}
_GROUPS = {"Group", "LiveGroup"}
_NOT_STACKED = {"Root"}
_CLASS = re.compile(r"[A-Za-z_][\w.:-]*")
_INPUTS = re.compile(r"(\d{1,6})(?:\+(\d{1,6}))?")
_STACK = re.compile(r"\s*stack\s+(\d{1,6})\s*")
_PASTED = "cut_paste_input"
_ENCRYPTED = "Nuke Non-commercial and Indie save encrypted scripts: export from inside Nuke (Safelight, Export)."


@dataclass
class _Scope:
    """A script or a group that is being read."""

    nodes: list[Node] = field(default_factory=list)
    stack: list[Node | None] = field(default_factory=list)
    group: Node | None = None


def read(path: Path) -> Script:
    """Read a script from a file. Raises NkError, naming file and line."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise NkError("there is no such script").at(file=path) from None
    except UnicodeDecodeError:
        raise NkError("this is no plain Nuke script", remedy=_ENCRYPTED).at(file=path) from None
    except OSError as error:
        raise NkError(f"the script cannot be read: {error.strerror}").at(file=path) from None
    try:
        return parse(text)
    except NkError as error:
        raise error.at(file=path) from None


def parse(text: str) -> Script:
    """Read script text; in time that grows with its length alone.

    Raises
    ------
    NkError
        Anything that is no Nuke script: the line, and what stands there. No other error, whatever the text.
    """
    if "\0" in text:
        raise NkError("this is no plain Nuke script", remedy=_ENCRYPTED)
    lexer = Lexer(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    reader = _Reader()
    while (words := lexer.statement()) is not None:
        reader.statement(words)
    return reader.end()


class _Reader:
    def __init__(self) -> None:
        self.script = Script()
        self.scopes = [_Scope()]
        self.names: dict[str, Node | None] = {}
        self.originals: dict[str, Node] = {}

    def statement(self, words: list[Word]) -> None:
        first = words[0]
        if first.kind != "bare":
            raise NkError(f"a statement cannot begin with {_shown(first)}", line=first.line)
        word = first.text
        if word == "set":
            self._set(words)
        elif word == "push":
            self._push(words)
        elif word == "version":
            self.script.version = " ".join(word.text for word in words[1:])
        elif word == "end_group":
            self._end_group(first.line)
        elif word == "clone":
            self._clone(words)
        elif word in _PASSED_OVER:
            return
        elif len(words) == 2 and words[1].kind == "braced" and _CLASS.fullmatch(word) and not first.live:
            self._node(word, words[1], first.line)
        else:
            raise NkError(
                f"'{word[:60]}' is no node and no word of a script that is read here",
                line=first.line,
                remedy="Nothing of a script is run: only nodes, set, push, clone, version and end_group are read.",
            )

    def end(self) -> Script:
        if len(self.scopes) > 1:
            group = self.scopes[-1].group
            raise NkError(
                f"the group '{group.name if group else ''}' has no end_group",
                line=group.line if group else 0,
                remedy="The text is cut short.",
            )
        self.script.nodes = self.scopes[0].nodes
        return self.script

    def _set(self, words: list[Word]) -> None:
        line = words[0].line
        match = _STACK.fullmatch(words[2].text) if len(words) == 3 and words[2].kind == "bracket" else None
        if match is None:
            raise NkError("'set' is read as 'set NAME [stack N]' only", line=line)
        stack, depth = self.scopes[-1].stack, int(match[1])
        self.names[words[1].text] = stack[-1 - depth] if depth < len(stack) else None
        if words[1].text == _PASTED and not self.script.nodes and len(self.scopes) == 1:
            self.script.clipboard = True

    def _push(self, words: list[Word]) -> None:
        what = words[1].text if len(words) == 2 and words[1].kind == "bare" else ""
        node: Node | None = None
        if what.startswith("$") and what[1:] in self.names:
            node = self.names[what[1:]]
        elif what != "0" and what != f"${_PASTED}":
            raise NkError(
                f"'push {what[:60]}' names nothing that was set before" if what else "'push' takes 0 or a $NAME",
                line=words[0].line,
            )
        self.scopes[-1].stack.append(node)

    def _end_group(self, line: int) -> None:
        if len(self.scopes) == 1:
            raise NkError("there is no group to end", line=line)
        scope = self.scopes.pop()
        assert scope.group is not None
        scope.group.children = scope.nodes
        self.scopes[-1].stack.append(scope.group)

    def _clone(self, words: list[Word]) -> None:
        line = words[0].line
        if len(words) not in (3, 4) or words[-1].kind != "braced" or any(word.kind != "bare" for word in words[1:-1]):
            raise NkError("'clone' is read as 'clone ID CLASS {…}' or 'clone ID {…}' only", line=line)
        key = words[1].text
        if len(words) == 4:
            self.originals[key] = self._node(words[2].text, words[3], line)
            return
        original = self.names.get(key[1:]) if key.startswith("$") else self.originals.get(key)
        if original is None:
            raise NkError(f"the clone's original '{key[:60]}' does not stand before it", line=line)
        while original.clone_of is not None:
            original = original.clone_of
        self._node(original.kind, words[2], line, original)

    def _node(self, kind: str, block: Word, line: int, original: Node | None = None) -> Node:
        node = Node(kind, line=line, clone_of=original)
        _read_block(node, block)
        scope = self.scopes[-1]
        if kind in _NOT_STACKED:
            if len(self.scopes) == 1:
                self.script.root = node
            return node
        for _ in range(_inputs(node)):
            node.inputs.append(scope.stack.pop() if scope.stack else None)
        scope.nodes.append(node)
        if kind in _GROUPS and original is None:
            if len(self.scopes) > DEEPEST:
                raise NkError(f"more than {DEEPEST} groups in each other", line=line)
            node.children = []
            self.scopes.append(_Scope(group=node))
        else:
            scope.stack.append(node)
        return node


def _read_block(node: Node, block: Word) -> None:
    lexer = Lexer(block.text, block.line)
    while True:
        words = lexer.statement()
        if words is None:
            return
        name, line = words[0].text, words[0].line
        if name == "addUserKnob":
            if len(words) == 2 and words[1].kind == "braced":
                node.user_knobs.append(_user_knob(words[1]))
                node.knobs.append(Knob(name, tuple(words[1:]), words[1].raw, line))
                continue
            raise NkError("'addUserKnob' is read as 'addUserKnob {…}' only", line=line)
        node.knobs.append(Knob(name, tuple(words[1:]), " ".join(word.raw for word in words[1:]), line))


def _inputs(node: Node) -> int:
    knob = next((knob for knob in node.knobs if knob.name == "inputs"), None)
    if knob is None:
        return 1
    match = _INPUTS.fullmatch(knob.text)
    count = int(match[1]) + int(match[2] or 0) if match else -1
    if not 0 <= count <= MOST_INPUTS:
        raise NkError(f"'inputs {knob.text[:60]}' is no number of inputs", line=knob.line)
    return count


def _user_knob(word: Word) -> UserKnob:
    words = Lexer(word.text, word.line).statement() or []
    if len(words) < 2 or not words[0].text.isdecimal() or len(words[0].text) > 6:
        raise NkError("a user knob needs a number and a name", line=word.line)
    label: str | None = None
    tooltip = body = ""
    items: tuple[str, ...] = ()
    span: tuple[float, float] | None = None
    flags: list[str] = []
    at = 2
    while at < len(words):
        key, value = words[at].text, words[at + 1] if at + 1 < len(words) else None
        if key[:1] in ("+", "-") and words[at].kind == "bare":
            flags.append(key)
            at += 1
            continue
        if value is None:
            break
        at += 2
        if key == "l":
            label = value.text
        elif key == "t":
            tooltip = value.text
        elif key == "T":
            body = value.text
        elif key == "M":
            items = tuple(item.text for item in Lexer(value.text, value.line).statement() or [])
        elif key == "R" and at < len(words):
            span = _number(value), _number(words[at])
            at += 1
    return UserKnob(int(words[0].text), words[1].text, label, tooltip, items, span, tuple(flags), body)


def _number(word: Word) -> float:
    try:
        return float(word.text)
    except ValueError:
        raise NkError(f"'{word.text[:60]}' is no number", line=word.line) from None


def _shown(word: Word) -> str:
    return {"quoted": "a quote", "braced": "a brace", "bracket": "a bracket"}.get(word.kind, word.text)
