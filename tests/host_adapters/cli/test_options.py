"""Text of arguments and figures."""

from __future__ import annotations

import doctest
import importlib

import pytest

from safelight.graph.errors import GraphError
from safelight.host_adapters.cli.options import read_sets, read_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (None, 0),
        ("8GB", 8 * 10**9),
        ("8g", 8 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        ("512MiB", 2**29),
        ("2000000", 2 * 10**6),
    ],
)
def test_sizes(text: str | None, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "8 cows", "-1GB", "4iB", "12", "1KB", "nan"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(GraphError):
        read_size(text)


def test_sets() -> None:
    assert read_sets(["a.b=1", "a.path=x=y", " n.v = 2"]) == [("a.b", "1"), ("a.path", "x=y"), ("n.v", " 2")]
    assert read_sets(None) == []
    for wrong in ("a.b", "a=1", "=1"):
        with pytest.raises(GraphError, match=r"NODE\.PARAM=VALUE"):
            read_sets([wrong])


@pytest.mark.parametrize("name", ["options", "describe", "bench.table"])
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"safelight.host_adapters.cli.{name}"))
    assert result.attempted and not result.failed
