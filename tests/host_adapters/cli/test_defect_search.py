"""What a list keeps when a clip is searched again, and what a document's detectors look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.host_adapters.cli.defect_search import Box, Found, Listed, _Decided, search_of
from safelight.nodes.damage.defects import Decision, Defect, Defects

PLATE = 'safelight = 1\n[nodes.plate]\ntype = "Plate"\nframes = 9\n'


def found(*boxes: Box, score: float = 0.8) -> list[Found]:
    return [
        Found(Defect(i, 5, box, score=score), np.ones((box[3] - box[1], box[2] - box[0]), bool))
        for i, box in enumerate(boxes)
    ]


def old(id: int, box: Box, decision: Decision = "", frame: int = 5) -> Defect:
    return Defect(id, frame, box, "dirt", "bright", 0.6, decision)


def settled(was: Sequence[Defect], now: Sequence[Found], least: float = 0.5) -> list[Defect]:
    return [one.defect for one in _Decided(Defects("", tuple(was)), [5]).settle(5, now, least)]


def test_numbers_stay_and_new_ones_follow() -> None:
    made = settled([old(7, (10, 10, 14, 14)), old(9, (90, 90, 95, 95))], found((50, 50, 53, 53), (10, 11, 14, 14)))
    assert [(d.id, d.box) for d in made] == [(10, (50, 50, 53, 53)), (7, (10, 11, 14, 14))]
    assert made[1].kind == "dust" and made[1].score == 0.8  # as found now: nobody decided on it


@pytest.mark.parametrize("decision", ["keep", "reject", "add"])
def test_no_decision_is_ever_lost(decision: Decision) -> None:
    was = old(7, (10, 10, 14, 14), decision)
    for now in ([], found((60, 60, 64, 64)), found((40, 10, 44, 14))):
        assert was in settled([was], now)
    again = settled([was], found((10, 10, 15, 14)))
    mine = next(d for d in again if d.id == 7)
    assert mine.decision == decision and mine.box == was.box and mine.kind == "dirt"
    # What was drawn by hand is not what was found.
    assert len(again) == (2 if decision == "add" else 1)


def test_the_decided_of_two_alike_comes_first() -> None:
    made = settled([old(1, (10, 10, 14, 14)), old(2, (10, 10, 14, 15), "reject")], found((10, 10, 14, 14)))
    assert [(d.id, d.decision) for d in made] == [(2, "reject")]


def test_faint_ones_are_left_out_unless_decided() -> None:
    now = found((10, 10, 14, 14), (30, 30, 33, 33), score=0.3)
    assert [d.id for d in settled([old(1, (10, 10, 14, 14), "keep")], now)] == [1]
    assert len(settled([], now, least=0.2)) == 2


def test_a_large_box_around_small_ones_is_none_of_them() -> None:
    made = settled([old(1, (0, 0, 100, 100), "reject")], found((10, 10, 14, 14)))
    assert {d.id for d in made} == {1, 2} and made[0].decision == ""


def test_frames_that_were_not_looked_at_keep_what_they_have() -> None:
    other = old(3, (1, 1, 2, 2), frame=6)
    decided = _Decided(Defects("", (other, replace(other, id=4, decision="keep"))), [5])
    assert decided.elsewhere == [other, replace(other, id=4, decision="keep")] and decided.carried == 1


def test_rejected_ones_do_not_count() -> None:
    listed = Listed(Defects("", (old(1, (1, 1, 2, 2)), old(2, (3, 1, 4, 2), "reject"), old(3, (1, 1, 2, 2), "", 8))))
    assert listed.kinds() == {"dirt": 2} and listed.kinds(5) == {"dirt": 1} and listed.frames() == [5, 8]


def chosen(text: str, node: str | None = None) -> tuple[tuple[str, ...], str, str | None, list[str]]:
    search = search_of(Document.parse(PLATE + text), node)
    return tuple(f"{a}.{b}" for a, b in search.mattes), search.plate, search.repair, search.graph.order


DIRT = '[nodes.dirt]\ntype = "DirtDetect"\ninput = "plate"\ndefects = "list.json"\n'
FRAMES = '[nodes.frames]\ntype = "FrameDetect"\ninput = "plate"\n'
MERGED = '[nodes.both]\ntype = "MatteMerge"\ninputs = {a = "dirt", b = "frames"}\n'
REPAIR = '[nodes.repair]\ntype = "Repair"\ninputs = {source = "plate", matte = "both"}\n'


def test_every_detector_is_looked_at_without_its_list() -> None:
    mattes, plate, repair, order = chosen(DIRT + FRAMES + MERGED + REPAIR)
    assert mattes == ("dirt.matte", "frames.matte") and (plate, repair) == ("plate", "repair")
    assert order == ["plate", "dirt", "frames"]
    search = search_of(Document.parse(PLATE + DIRT), None)
    assert search.graph.params["dirt"].defects is None  # type: ignore[attr-defined]
    assert [path.name for path in search.obeyed] == ["list.json"]


def test_a_node_or_the_matte_of_a_repair_can_be_looked_at() -> None:
    assert chosen(DIRT + FRAMES + MERGED, "both")[:2] == (("both.matte",), "plate")
    assert chosen(DIRT + FRAMES, "frames")[0] == ("frames.matte",)
    drawn = '[nodes.laid]\ntype = "Damage"\ninput = "plate"\n'
    made = '[nodes.repair]\ntype = "Repair"\ninputs = {source = "laid", matte = "laid.matte"}\n'
    assert chosen(drawn + made)[:1] == (("laid.matte",),)


def test_what_cannot_be_looked_at() -> None:
    with pytest.raises(GraphError, match="no node of the graph finds damage"):
        chosen("")
    with pytest.raises(GraphError, match=r"no node 'frame'.*Did you mean 'frames'"):
        chosen(FRAMES, "frame")
    other = '[nodes.other]\ntype = "Plate"\nframes = 9\n[nodes.more]\ntype = "FrameDetect"\ninput = "other"\n'
    with pytest.raises(GraphError, match="several plates: other, plate"):
        chosen(FRAMES + other)
