"""The writer of Nuke scripts: nodes in an order that the stack machine can follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from safelight.host_adapters.nuke.nk.script import SELECTED, Node
from safelight.host_adapters.nuke.nk.words import quote

VERSION = "13.0 v1"
"""The oldest Nuke that what we write is meant for."""


def clipboard(nodes: Sequence[Node]) -> str:
    """Return text that can be pasted into Nuke, or given to `nuke.nodePaste` as a file."""
    head = ["set cut_paste_input [stack 0]", f"version {VERSION}", "push $cut_paste_input"]
    return "\n".join([*head, *_Writer().nodes(nodes, "")]) + "\n"


def script(nodes: Sequence[Node], root: Node | None = None) -> str:
    """Return a whole script."""
    writer = _Writer()
    head = [f"version {VERSION}", *(writer.block(root, "") if root is not None else [])]
    return "\n".join([*head, *writer.nodes(nodes, "")]) + "\n"


class _Writer:
    def __init__(self) -> None:
        self._ids: dict[Node, str] = {}
        self._cloned: set[Node] = set()

    def nodes(self, nodes: Sequence[Node], indent: str) -> list[str]:
        order = _ordered(nodes)
        uses = Counter(up for node in order for up in node.inputs if up is not None)
        self._cloned |= {node.clone_of for node in order if node.clone_of is not None}
        lines: list[str] = []
        top: Node | None = None
        for index, node in enumerate(order):
            if node.inputs != [top] or top is None:
                for up in reversed(node.inputs):
                    lines.append(indent + self._push(up))
            lines += self.block(node, indent)
            top = node
            following = order[index + 1] if index + 1 < len(order) else None
            if uses[node] and not (uses[node] == 1 and following is not None and following.inputs == [node]):
                lines.append(f"{indent}set {self._id(node)} [stack 0]")
        return lines

    def block(self, node: Node, indent: str) -> list[str]:
        head = node.kind
        if node.clone_of is not None:
            head = f"clone {self._clone_id(node.clone_of)}"
        elif node in self._cloned:
            head = f"clone {self._clone_id(node)} {node.kind}"
        lines = [f"{indent}{head} {{"]
        if len(node.inputs) != 1:
            lines.append(f"{indent} inputs {len(node.inputs)}")
        declared = any(knob.name == "addUserKnob" for knob in node.knobs)
        values = {knob.name for knob in node.user_knobs}
        if not declared:  # a knob must be there before it gets its value
            lines += [f"{indent} {k.name} {k.raw}" for k in node.knobs if k.name != "inputs" and k.name not in values]
            lines += [f"{indent} {knob.write()}" for knob in node.user_knobs]
            lines += [f"{indent} {quote(k.name)} {k.raw}" for k in node.knobs if k.name in values]
        else:
            lines += [f"{indent} {_name(k.name)} {k.raw}".rstrip() for k in node.knobs if k.name != "inputs"]
        lines.append(f"{indent}}}")
        if node.children is not None:
            lines += self.nodes(node.children, indent + " ")
            lines.append(f"{indent}end_group")
        return lines

    def _push(self, node: Node | None) -> str:
        if node is None:
            return "push 0"
        return "push $cut_paste_input" if node is SELECTED else f"push ${self._id(node)}"

    def _id(self, node: Node) -> str:
        return self._ids.setdefault(node, f"N{len(self._ids) + 1:x}")

    def _clone_id(self, node: Node) -> str:
        return f"node{self._id(node)}|{node.kind}"


def _name(name: str) -> str:
    return name if name == "addUserKnob" else quote(name)


def _ordered(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes, each after what feeds it and after the original it is a clone of; else in their order."""
    mine = set(nodes)
    done: dict[Node, None] = {}
    for start in nodes:
        waiting = [start]
        while waiting:
            node = waiting[-1]
            before = [up for up in (*node.inputs, node.clone_of) if up in mine and up not in done]
            if before and node not in done:
                waiting.append(before[0])
            else:
                done.setdefault(node)
                waiting.pop()
    return list(done)
