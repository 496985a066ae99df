"""The list of defects: read strictly, written whole, obeyed exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from safelight.graph.errors import GraphError
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.damage.defects import Defect, Defects, merged

WINDOW = Region.sized(90, 60, -4, 7)

GOOD = """{"safelight_defects": 1, "plate": "reel2",
 "defects": [
  {"id": 17, "frame": 1012, "box": [10, 20, 14, 25], "kind": "dust", "tone": "bright", "score": 0.93, "decision": ""},
  {"id": 18, "frame": 1012, "box": [-2, 20, 14, 25], "decision": "add"}
 ]}
"""


def matte() -> Image:
    data = np.zeros((1, 60, 90), np.float32)
    data[0, 10:14, 10:15] = 0.7
    data[0, 30:33, 40:44] = 0.9
    data[0, 33, 44] = 0.2  # by its corner
    data[0, 50, 20:60] = 0.6
    return Image(data, WINDOW, ("A",), {"n": 3})


def plate() -> Image:
    light = np.full((3, 60, 90), 0.2, np.float32)
    light[:, 10:14, 10:15] = 0.05
    light[1, 30:34, 40:45] = 0.6
    light[:, 50, 20:60] = 0.9
    return Image(light, WINDOW)


def test_a_list_is_read() -> None:
    found = Defects.parse(GOOD)
    assert found.plate == "reel2"
    assert found.defects[0] == Defect(17, 1012, (10, 20, 14, 25), "dust", "bright", 0.93, "")
    assert found.defects[1].decision == "add" and found.defects[1].score == 1
    assert found.at(1012) == found.defects[1:] and found.at(1013) == () and found.decided(1013) == ""


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    found = Defects("reel2 “b”", tuple(reversed(Defects.parse(GOOD).defects)))
    path = tmp_path / "list.json"
    found.save(path)
    again = Defects.load(path)
    assert again.plate == found.plate and set(again.defects) == set(found.defects)
    assert len(path.read_text().splitlines()) == 4 and list(tmp_path.iterdir()) == [path]
    Defects().save(path)
    assert Defects.load(path) == Defects()
    with pytest.raises(GraphError, match="cannot be written"):
        found.save(tmp_path / "none" / "list.json")
    with pytest.raises(GraphError, match="cannot be read"):
        Defects.load(tmp_path / "other.json")
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(GraphError, match="cannot be read"):
        Defects.load(path)


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ('"box": [10', '"box" [10', 3, "no JSON"),
        ("]}", "]", 5, "no JSON"),
        ('"safelight_defects": 1', '"safelight_defects": 2', 1, "format 2"),
        ('"safelight_defects": 1, ', "", 1, "no list of defects"),
        ('"defects"', '"defect"', 2, "'defect' is not known"),
        ('"reel2"', "7", 1, "'plate' must be text"),
        ('"id": 18', '"id": 17', 4, "first in line 3"),
        ('"id": 18', '"id": 1.5', 4, "'id' must be a whole number"),
        ('"id": 18, ', "", 4, "no 'id'"),
        ('"decision": "add"', '"decision": "ad"', 4, "Did you mean 'add'"),
        ('"kind": "dust"', '"kind": "Staub"', 3, "'kind' cannot be"),
        ('"tone"', '"colour"', 3, "'colour' is not known"),
        ("[-2, 20, 14, 25]", "[14, 20, 14, 25]", 4, "is empty"),
        ("[-2, 20, 14, 25]", "[14, 20, 15]", 4, "four whole numbers"),
        ("0.93", "9.3", 3, "from 0 to 1"),
        ("0.93", "NaN", 3, "from 0 to 1"),
        (GOOD[GOOD.index('{"id": 18') : GOOD.index("\n ]}")], "18", 4, "must be an object"),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, old: str, new: str, line: int, what: str) -> None:
    path = tmp_path / "list.json"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(GraphError) as caught:
        Defects.load(path)
    assert what in str(caught.value) and f"line {line}" in str(caught.value) and "list.json" in str(caught.value)


def test_a_matte_is_listed() -> None:
    dust, colour, line = Defects.of_matte(1012, matte(), plate(), first_id=5)
    assert dust == Defect(5, 1012, (6, 17, 11, 21), "dust", "dark", pytest.approx(0.7), "")
    assert colour.tone == "coloured" and colour.box == (36, 37, 41, 41) and colour.score == pytest.approx(0.9)
    assert line.kind == "hair" and line.tone == "bright" and line.id == 7
    assert Defects.of_matte(1, matte().with_data(np.zeros((1, 60, 90), np.float32)), plate()) == []
    assert [d.id for d in merged([[dust, colour], [line]])] == [1, 2, 3]


@pytest.mark.parametrize("decision", ["reject", "keep"])
def test_a_decision_changes_that_blob_alone(decision: str) -> None:
    before = matte()
    found = Defects.of_matte(1012, before, plate())
    edited = Defects("", (found[0], replace(found[1], decision=decision), found[2]))  # type: ignore[arg-type]
    after = edited.apply(before, 1012)
    wanted = matte().data
    wanted[0, 30:34, 40:45] = np.where(wanted[0, 30:34, 40:45] > 0, 0 if decision == "reject" else 1, 0)
    np.testing.assert_array_equal(after.data, wanted)
    np.testing.assert_array_equal(before.data, matte().data)
    assert after.metadata == before.metadata


def test_nothing_decided_is_the_same_matte() -> None:
    before = matte()
    found = Defects("", tuple(Defects.of_matte(1012, before, plate())))
    assert found.apply(before, 1012) is before
    decided = Defects("", (replace(found.defects[0], decision="reject"),))
    assert decided.apply(before, 1013) is before


def test_boxes_that_hold_no_blob() -> None:
    before = matte()
    boxes = (
        Defect(1, 5, (70, 10, 75, 13), decision="add"),
        Defect(2, 5, (80, 40, 95, 90), decision="keep"),  # over the picture's edge
        Defect(3, 5, (60, 10, 62, 12), decision="reject"),
        Defect(4, 5, (10, 17, 12, 18), decision="reject"),  # less than half of a blob
        Defect(5, 5, (-50, -50, -40, -40), decision="add"),  # outside
    )
    wanted = matte().data
    wanted[0, 3:6, 74:79] = 1
    wanted[0, 33:, 84:] = 1
    np.testing.assert_array_equal(Defects("", boxes).apply(before, 5).data, wanted)
