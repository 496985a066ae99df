"""`safelight defects`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from safelight.nodes.damage.defects import Defect, Defects
from tests.host_adapters.cli.conftest import Safelight, plate_document

DAMAGED = """
[nodes.laid]
type = "Damage"
input = "plate"
dust = 0.4
size = 5
splices = "1004"

[nodes.dirt]
type = "DirtDetect"
input = "laid"

[nodes.frames]
type = "FrameDetect"
input = "laid"

[nodes.damage]
type = "MatteMerge"
inputs = {a = "dirt", b = "frames"}

[nodes.repair]
type = "Repair"
inputs = {source = "laid", matte = "damage"}
"""


def document(folder: Path) -> Path:
    return plate_document(folder, width=224, height=128, frames=6, extra=DAMAGED, name="shot.toml")


def test_a_list_is_written_edited_and_kept(safelight: Safelight, tmp_path: Path) -> None:
    path = document(tmp_path)
    done = safelight("defects", "shot.toml", "-o", "shot.json", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    first = Defects.load(tmp_path / "shot.json")
    assert told["defects"] == len(first.defects) > 4 and told["nodes"] == ["dirt", "frames"]
    assert told["kinds"]["dust"] > 2 and told["kinds"]["splice"] == 2 and {"1003", "1004"} <= set(told["flagged"])
    assert first.plate == "laid" and {d.frame for d in first.defects} <= set(range(1001, 1007))

    keep, reject = (next(d for d in first.defects if d.kind == kind) for kind in ("splice", "dust"))
    drawn = Defect(900, 1002, (20, 20, 26, 24), decision="add")
    edited = {keep: replace(keep, decision="keep"), reject: replace(reject, decision="reject", tone="coloured")}
    wanted = {*edited.values(), drawn}
    Defects("mine", (*(edited.get(d, d) for d in first.defects), drawn)).save(tmp_path / "shot.json")
    # The render obeys the list, and it is found again nevertheless.
    path.write_text(path.read_text().replace('"frames"}', '"frames"}\ndefects = "shot.json"'))
    done = safelight(
        "defects", "shot.toml", "-o", "shot.json", "--set", "dirt.sensitivity=0.7", "--frames", "1001-1004"
    )
    assert done.returncode == 0 and "1 kept, 1 rejected, 1 added" in done.stdout, done.stderr
    again = Defects.load(tmp_path / "shot.json")
    assert wanted <= {replace(d, score=next((w.score for w in wanted if w.id == d.id), 0)) for d in again.defects}
    later = [d for d in first.defects if d.frame > 1004]
    assert later == [d for d in again.defects if d.frame > 1004]
    assert len({d.id for d in again.defects}) == len(again.defects)
    # Without a file to write to, nothing is written.
    before = (tmp_path / "shot.json").read_text()
    done = safelight("defects", "shot.toml", "--frames", "1002")
    assert done.returncode == 0 and "-o FILE.json" in done.stderr and "1 added" in done.stdout
    assert (tmp_path / "shot.json").read_text() == before


def test_a_sheet_and_a_page(safelight: Safelight, tmp_path: Path) -> None:
    document(tmp_path)
    done = safelight(
        "defects", "shot.toml", "--sheet", "worst.png", "--page", "shot.html", "--worst", "30", "--least", "0.1",
        "--frames", "1002-1005", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    sheets = [Path(file).name for file in told["files"] if file.endswith(".png")]
    assert sheets == (["worst.png"] if told["defects"] <= 22 else ["worst.1.png", "worst.2.png"])
    with Picture.open(tmp_path / sheets[0]) as picture:
        assert picture.width > 900 and picture.height > 300 and len(np.unique(np.asarray(picture))) > 100
    text = (tmp_path / "shot.html").read_text(encoding="utf-8")
    assert text.count('class="defect"') == min(30, told["defects"]) and "http" not in text.replace("http-equiv", "")
    assert "repaired" in text and "save shot.json" in text
    held = re.search(r'id="list">(.*?)</script>', text, re.DOTALL)
    assert held is not None
    assert len(Defects.parse(held[1].replace("<\\/", "</")).defects) == told["defects"]


def test_a_sequence_needs_no_document(safelight: Safelight, tmp_path: Path) -> None:
    path = document(tmp_path)
    path.write_text(path.read_text().replace('input = "plate"\npath', 'input = "laid"\npath'))
    assert safelight("render", "shot.toml").returncode == 0
    done = safelight("defects", "out/plate.####.exr", "-o", "plate.json", "--frames", "1003-1004", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["nodes"] == ["dirt", "scratches", "frames"] and told["kinds"]["splice"] == 2
    assert Defects.load(tmp_path / "plate.json").plate == "plate"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.toml",), "there is no such graph document"),
        (("plate.####.exr",), "plate"),
        (("plate.####.exr", "--node", "dirt"), "is for a graph document"),
        (("shot.toml", "--node", "dirty"), "Did you mean 'dirt'"),
        (("shot.toml", "--frames", "1-3"), "do not exist"),
        (("shot.toml", "--order", "size"), "frame or score"),
        (("shot.toml", "-o", "list.txt"), "Call it list.json"),
        (("shot.toml", "--sheet", "none/sheet.png"), "the folder is not there"),
        (("shot.toml", "-o", "wrong.json"), "wrong.json: 'frame' must be a whole number, not 'x'"),
    ],
)
def test_wrong_use(safelight: Safelight, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    document(tmp_path)
    (tmp_path / "wrong.json").write_text(
        '{"safelight_defects": 1, "defects": [\n{"id": 1, "frame": "x", "box": [0, 0, 1, 1]}]}'
    )
    done = safelight("defects", *arguments)
    assert done.returncode == 2 and words in done.stderr and done.stdout == "", done.stderr
    if "wrong.json" in words:
        assert "line 2" in done.stderr
