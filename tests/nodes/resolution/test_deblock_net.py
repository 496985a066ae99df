"""Deblock with a net: better than without, the same bits, what stays, the record, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from safelight.graph import provenance
from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.provenance import FILTERED, SYNTHESISED
from safelight.graph.region import Region
from safelight.nodes.resolution import deblock
from safelight.nodes.resolution.blocks import Blocks
from safelight.nodes.resolution.deblock import Deblock, DeblockParams, excess
from safelight.nodes.resolution.learned import deblocking, models
from safelight.nodes.resolution.placing import BEYOND
from tests.nodes.resolution.test_deblock import Frames, coded, image, luma, run, scene

pytest.importorskip("torch")
pytest.importorskip("safetensors")
NODE = Deblock()
CLASSICAL = DeblockParams(values="coded", matrix="601")
NET = CLASSICAL.model_copy(update={"method": "net"})


def error(out: Image, truth: np.ndarray) -> float:
    return float(np.mean((luma(out.data[:3].transpose(1, 2, 0) * 255) - luma(truth)) ** 2))


@pytest.mark.parametrize("quality", [12, 16, 28])
def test_it_is_better_than_without(quality: int) -> None:
    truth, given = scene(), coded(scene(), quality)
    plain, _ = run(image(given), CLASSICAL)
    out, found = run(image(given), NET)
    assert found["found"] and "without the net" not in found["note"]
    assert error(out, truth) < 0.99 * error(plain, truth)
    # Colour differences are as without: R - Y and B - Y.
    for plane in (0, 2):
        apart = [a.data[plane] - luma(a.data.transpose(1, 2, 0)) for a in (out, plain)]
        np.testing.assert_allclose(*apart, atol=1e-5)


def test_kodak_gains_over_the_classical_way(data: Path) -> None:
    gains, cuts = [], []
    for number in (5, 8, 15):
        truth = np.asarray(Picture.open(data / "images" / "stills" / "kodak" / f"{number:02d}.png").convert("RGB"))
        truth = truth[96:352, 128:512]
        given = coded(truth, 16)
        plain, _ = run(image(given), CLASSICAL)
        out, found = run(image(given), NET)
        gains.append(10 * np.log10(error(plain, truth) / error(out, truth)))
        blocks, region = Blocks.from_data(found), Region.sized(384, 256)
        made = luma(out.data.transpose(1, 2, 0) * 255)
        left, was, none = (excess(plane, region, blocks) for plane in (made, luma(given), luma(truth)))
        cuts.append(abs(left - none) / (was - none))
    assert np.mean(gains) > 0.1 and min(gains) > 0 and np.mean(cuts) < 0.15


def test_the_classical_way_asks_no_net(monkeypatch: pytest.MonkeyPatch) -> None:
    plate = image(coded(scene(), 16))
    first, found = run(plate, CLASSICAL)

    def none(*_: Any) -> Any:
        raise AssertionError("a net was asked for")

    monkeypatch.setattr(deblock.deblocking, "find", none)
    again, told = run(plate, CLASSICAL)
    np.testing.assert_array_equal(first.data.view(np.uint32), again.data.view(np.uint32))
    assert found == told and DeblockParams().method == "classical"
    assert set(NODE.analysis_params(CLASSICAL)) == {"values", "matrix", "block"}
    assert NODE.analysis_params(CLASSICAL) != NODE.analysis_params(NET)


def test_the_same_bits_whatever_threads_and_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    plate = image(coded(scene(), 16), (-5, 7))
    _, found = run(plate, NET)
    request = Request(1, plate.region)
    inputs = Inputs(request, {"input": {1: plate}}, {}, analysis=found)
    made = [NODE.compute(NET, request, inputs, Device("cpu", n)).data for n in (1, 3)]
    monkeypatch.setattr(deblocking, "TILE", 64)
    made.append(NODE.compute(NET, request, inputs, Device("cpu", 2)).data)
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


def test_the_grid_is_followed_wherever_the_frame_lies() -> None:
    given = coded(scene(), 16)
    whole, found = run(image(given), NET)
    moved, again = run(image(given, (-13, 1002)), NET, None)
    assert found["edges"] == again["edges"]
    np.testing.assert_array_equal(whole.data, moved.data)
    part, _ = run(image(given[3:, 5:]), NET)
    assert error(part, scene()[3:, 5:]) < 1.05 * error(whole, scene())


def test_other_channels_and_what_is_no_number_stay() -> None:
    plate = image(coded(scene(), 16), (-5, 7))
    data = np.concatenate([plate.data, np.random.default_rng(1).random((1, 160, 240)).astype(np.float32)])
    clean, found = run(Image(data.copy(), plate.region, ("R", "G", "B", "A")), NET)
    data[:3, 80, 150] = np.nan, np.inf, 0.5
    data[:3, 81, 150] = -np.inf
    out, _ = run(Image(data, plate.region, ("R", "G", "B", "A")), NET, found)
    np.testing.assert_array_equal(out.data[3], data[3])
    bad = np.zeros((160, 240), bool)
    bad[80:82, 150] = True
    np.testing.assert_array_equal(out.data[:, bad].view(np.uint32), data[:, bad].view(np.uint32))
    assert np.isfinite(out.data[:, ~bad]).all()
    np.testing.assert_allclose(out.data[:, :20], clean.data[:, :20], atol=1e-4)
    np.testing.assert_allclose(out.data[:, :, :80], clean.data[:, :, :80], atol=1e-4)


def test_scene_light_beyond_white_and_below_black_survives() -> None:
    codes = coded(scene(), 16).astype(np.float32) / 255
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4).transpose(2, 0, 1)
    light = np.ascontiguousarray(3 * light - 0.05, np.float32)
    plate = Image(light, Region.sized(240, 160))
    out, found = run(plate, DeblockParams(method="net"))
    assert found["found"] and out.data.max() > 1.5 and out.data.min() < 0
    assert 0 < np.abs(out.data - light).mean() < 0.05
    light[:, 80, 120] = 400.0
    lit, _ = run(Image(light, plate.region), DeblockParams(method="net"), found)
    assert np.isfinite(lit.data).all() and lit.data[0, 80, 120] > 100
    # The classical way looks at low frequencies far off.
    np.testing.assert_allclose(lit.data[:, :20], out.data[:, :20], atol=5e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (37, 5), (61, 83)])
def test_small_and_odd_frames(size: tuple[int, int]) -> None:
    given = coded(scene(), 16)
    _, found = run(image(given), NET)
    plate = image(given[: size[0], : size[1]])
    out, _ = run(plate, NET, found)
    assert out.region == plate.region and np.isfinite(out.data).all()
    assert np.abs(out.data - plate.data).max() < 0.5


def test_one_plane_of_luma_and_shares() -> None:
    plane = luma(coded(scene(), 16)).astype(np.float32) / 255
    plate = Image(plane[None], Region.sized(240, 160), ("Y",))
    out, found = run(plate, NET)
    assert np.mean((255 * out.data[0] - luma(scene())) ** 2) < 0.9 * np.mean((255 * plane - luma(scene())) ** 2)
    half, _ = run(plate, NET.model_copy(update={"amount": 0.5}), found)
    np.testing.assert_allclose(half.data - plane, (out.data - plane) / 2, atol=1e-6)


def test_other_grids_are_taken_out_without_it() -> None:
    codes = Picture.fromarray(coded(scene(240, 360), 16)).resize((540, 360), Picture.Resampling.BICUBIC)
    plate = image(np.asarray(codes))
    out, found = run(plate, NET)
    assert found["found"] and "without the net" in found["note"]
    plain, told = run(plate, CLASSICAL)
    assert "net" not in told["note"]
    np.testing.assert_array_equal(out.data, plain.data)


def test_the_record_says_where_the_net_went_far() -> None:
    plate = image(coded(scene(), 28))
    out, found = run(plate, NET)
    plain = NODE.compute(CLASSICAL, Request(1, plate.region), inputs_of(plate, found), Device("cpu", 1))
    marked = provenance.with_codes(plate, np.zeros((160, 240), np.uint32))
    seen = inputs_of(marked, found)
    codes = NODE.record(NET, Request(1, plate.region), seen, {"image": out}, Device("cpu", 1))
    assert codes.shape == (160, 240) and (codes & FILTERED).mean() > 0.99
    stops = [np.sign(a) * np.log2(1 + np.abs(a) / 0.01) for a in (out.data, plain.data)]
    synthesised = codes & provenance.ORIGIN == SYNTHESISED
    np.testing.assert_array_equal(synthesised, np.abs(stops[0] - stops[1]).max(0) > BEYOND)
    assert synthesised.any() and not synthesised.all()
    kept = NODE.record(CLASSICAL, Request(1, plate.region), seen, {"image": plain}, Device("cpu", 1))
    assert not (kept & provenance.ORIGIN).any()


def inputs_of(plate: Image, found: Any) -> Inputs:
    return Inputs(Request(1, plate.region), {"input": {1: plate}}, {}, analysis=found)


DOCUMENT = """
safelight = 1
[graph]
forensic = FORENSIC
[nodes.plate]
type = "Plate"
width = 64
height = 48
frames = 2
[nodes.clean]
type = "Deblock"
input = "plate"
method = "METHOD"
"""


def test_a_forensic_graph_refuses_the_net_alone(tmp_path: Path) -> None:
    for method, forensic in (("classical", "true"), ("net", "false")):
        text = DOCUMENT.replace("FORENSIC", forensic).replace("METHOD", method)
        assert not [said for said in Graph.from_document(Document.parse(text, tmp_path)).check() if "clean" in said]
    text = DOCUMENT.replace("FORENSIC", "true").replace("METHOD", "net")
    with pytest.raises(GraphError, match="method net lays in what a net has learned"):
        Graph.from_document(Document.parse(text, tmp_path)).check()
    assert not NODE.invents(NET.model_copy(update={"amount": 0.0}))


def test_what_is_checked_and_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window = Region.sized(64, 48)
    clips = {"input": Clip(1, 1, window, window)}
    assert not list(NODE.check(NET, clips, Settings()))
    own = tmp_path / "own.safetensors"
    deblocking.save(own, replace(deblocking.find(), notes={"own": 1}))
    mine = NET.model_copy(update={"weights": own})
    assert not list(NODE.check(mine, clips, Settings()))
    assert NODE.fingerprint(mine, None, Settings()) != NODE.fingerprint(NET, None, Settings()) != ""
    assert not NODE.fingerprint(NET, 1, Settings()) and not NODE.fingerprint(CLASSICAL, None, Settings())
    (told,) = NODE.check(CLASSICAL.model_copy(update={"weights": own}), clips, Settings())
    assert "not used" in told
    (told,) = NODE.check(NET.model_copy(update={"block": 12.0}), clips, Settings())
    assert "without the net" in told
    own.write_bytes(own.read_bytes()[:-8])
    with pytest.raises(GraphError, match="no whole safetensors"):
        NODE.check(mine, clips, Settings())
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    assert not list(NODE.check(CLASSICAL, clips, Settings()))
    with pytest.raises(GraphError, match=r"torch and safetensors, not installed here\. pip install 'safelight\[l"):
        NODE.check(NET, clips, Settings())


def test_an_analysis_is_of_the_net_too() -> None:
    plate = image(coded(scene(), 28))
    clips = {"input": Clip(1, 1, plate.region, plate.region)}
    found = [NODE.analyse(params, Frames(plate), clips, Device("cpu", 1)) for params in (CLASSICAL, NET)]
    assert {**found[0], "edges": 0} == {**found[1], "edges": 0}
