"""The pictures of the documentation are those that the script draws."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from safelight.host_adapters.workflow import RESOLVE, RESOLVE_LINKS, pictures, svg

ADAPTERS = Path(__file__).parents[2] / "host_adapters"


def test_pictures_are_up_to_date() -> None:
    for path, text in pictures().items():
        kept = ADAPTERS / path.parent.name / path.name
        assert kept.read_text(encoding="utf-8") == text, "run python -m safelight.host_adapters.workflow"
        assert len(text) < 10_000 and f"({path.name})" in (kept.parent / "README.md").read_text(encoding="utf-8")


def test_every_box_is_drawn_and_linked() -> None:
    tree = ElementTree.fromstring(svg(RESOLVE, RESOLVE_LINKS))
    names = [name for column in RESOLVE for name in column]
    assert len(tree.findall("{*}rect")) == len(names) and len(tree.findall("{*}path")) == len(RESOLVE_LINKS)
    assert {name for link in RESOLVE_LINKS for name in link} == set(names)
