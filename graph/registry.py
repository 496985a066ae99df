"""Finds nodes by looking: the engine knows none of them by name."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points

from safelight.graph.errors import GraphError, did_you_mean
from safelight.graph.node import Node

ENTRY_POINTS = "safelight.nodes"


class Registry(Mapping[str, Node]):
    """Node instances by id. Adding is all or nothing: a clash leaves the registry as it was."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def add(self, node_class: type[Node]) -> type[Node]:
        """Register one class (usable as a decorator in tests and plug-ins)."""
        known = self._nodes.get(node_class.id)
        if known is not None and type(known) is not node_class:
            raise GraphError(
                f"two nodes call themselves '{node_class.id}': {type(known).__module__} and {node_class.__module__}"
            )
        names = [port.name for port in node_class.inputs]
        if len(set(names)) != len(names) or not node_class.outputs:
            raise GraphError(f"node '{node_class.id}' has ports of one name, or no output")
        self._nodes[node_class.id] = node_class()
        return node_class

    def add_package(self, name: str) -> None:
        """Register every Node class defined in the package's modules, sub-packages included."""
        for module_name in sorted(_modules(name)):
            module = importlib.import_module(module_name)
            for value in vars(module).values():
                if (
                    inspect.isclass(value)
                    and issubclass(value, Node)
                    and value.__module__ == module_name
                    and "id" in vars(value)
                ):
                    self.add(value)

    def __getitem__(self, name: str) -> Node:
        try:
            return self._nodes[name]
        except KeyError:
            raise GraphError(
                f"there is no node type '{name}'",
                remedy=did_you_mean(name, self._nodes) or "'safelight nodes' lists what there is.",
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._nodes))

    def __len__(self) -> int:
        return len(self._nodes)


def _modules(package: str) -> Iterator[str]:
    """Yield the names of a package and all modules and packages in it."""
    root = importlib.import_module(package)
    yield package
    for info in pkgutil.iter_modules(list(root.__path__), package + "."):
        if info.ispkg:
            yield from _modules(info.name)
        elif _is_python(info.name):
            yield info.name


def _is_python(module_name: str) -> bool:
    """Tell whether a module is Python source: the kernels' library lies beside some and is none."""
    spec = importlib.util.find_spec(module_name)
    return spec is not None and (spec.origin or "").endswith(".py")


@cache
def default_registry() -> Registry:
    """Return all nodes that installed distributions offer under the entry point group `safelight.nodes`."""
    registry = Registry()
    for package in sorted({point.value for point in entry_points(group=ENTRY_POINTS)}):
        registry.add_package(package)
    return registry
