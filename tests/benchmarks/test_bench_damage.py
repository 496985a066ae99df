"""The damage benchmark: its figures against known cases, its rows for nodes that are there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from safelight.graph.image import Image
from safelight.graph.node import Node, Port
from safelight.host_adapters.cli.bench import damage as bench
from safelight.host_adapters.cli.bench._damage_figures import Detection, Fill, sdip, touched


def test_detection_counts() -> None:
    truth = np.zeros((40, 50), bool)
    truth[10:14, 10:14] = truth[30:34, 30:34] = True
    found = Detection()
    matte = np.zeros((40, 50))
    matte[10:14, 11:15] = 0.9  # one pixel off: right
    matte[2:6, 40:44] = 0.6  # nothing there
    found.add(matte, truth)
    assert found.at(0.5) == pytest.approx((0.5, 0.5, 0.5))
    assert found.at(0.75)[:2] == pytest.approx((1.0, 0.5))
    assert found.precision_at(0.5) == 1.0 and found.precision_at(0.9) == 0.0
    # Marks where damage is, below visibility, are not held against it.
    kind = Detection()
    kind.add(matte, truth, changed=truth | (matte == 0.6))
    assert kind.at(0.5)[0] == 1.0
    assert Detection().at(0.5) == (0.0, 0.0, 0.0)


def test_fill_figures() -> None:
    rng = np.random.default_rng(1)
    clean = np.full((3, 96, 96), 0.18)
    grain = np.exp2(0.1 * rng.standard_normal(clean.shape))
    other = np.exp2(0.1 * rng.standard_normal(clean.shape))
    truth = np.zeros((96, 96), bool)
    for y in range(4, 90, 16):
        for x in range(4, 90, 16):
            truth[y : y + 8, x : x + 8] = True
    figures = {}
    fills = {"same": clean * grain, "new grain": clean * other, "waxy": clean, "wrong": clean * 2 * other}
    for name, made in fills.items():
        figures[name] = Fill()
        figures[name].add(np.where(truth, made, clean * grain), clean * grain, clean, truth)
    assert figures["same"].psnr == np.inf and figures["same"].reconstructed == 1
    assert figures["same"].variance_ratio == pytest.approx(1) and figures["same"].spectrum_error == pytest.approx(0)
    assert figures["new grain"].variance_ratio == pytest.approx(1, abs=0.1)
    assert figures["new grain"].spectrum_error < 0.15 and figures["new grain"].reconstructed == 1
    assert figures["waxy"].reconstructed == 1 and figures["waxy"].variance_ratio < 0.3
    assert figures["waxy"].spectrum_error > 0.5
    assert figures["wrong"].reconstructed == 0 and figures["wrong"].psnr < figures["waxy"].psnr


def test_sdip_and_touched() -> None:
    still = np.zeros((1, 5, 5))
    spot = still.copy()
    spot[0, 2, 2], spot[0, 1, 1] = -1.0, 1.0
    found = sdip(still, spot, still, 0.5)
    assert found[2, 2] == pytest.approx(2 / 3) and found[1, 1] == pytest.approx(2 / 3) and found[0, 0] == 0
    assert sdip(still, spot, 2 * spot, 0.5)[2, 2] == 0
    zero = np.zeros((1, 2, 2), np.float32)
    assert touched(zero, -zero).all() and not touched(zero, zero).any()


class Spikes(Node):
    """Stands for DirtDetect where it is not there."""

    id = "DirtDetect"
    outputs = (Port("matte"),)
    window = 1

    def extent(self, params, inputs):
        return replace(inputs["input"], channels=("A",))

    def compute(self, params, request, inputs, device):
        frame = inputs["input"]
        around = [inputs.at("input", request.frame + step) or frame for step in (-1, 1)]
        first, last = (bench.stops(frame.data) - bench.stops(one.data) for one in around)
        spike = np.where(first * last > 0, np.minimum(abs(first), abs(last)), 0).max(0)
        return Image((spike[None] > 1.2).astype(np.float32), frame.region, ("A",))


class Before(Node):
    """Stands for Repair: takes holes from the frame before."""

    id = "Repair"
    inputs = (Port("source"), Port("matte"))
    outputs = (Port("image"), Port("provenance"))
    window = 1

    def extent(self, params, inputs):
        source = inputs["source"]
        return {"image": source, "provenance": replace(source, channels=("provenance",))}

    def compute(self, params, request, inputs, device):
        frame = inputs["source"]
        donor = inputs.at("source", request.frame - 1) or frame
        hole = inputs["matte"].data[0] >= 0.5
        codes = np.where(hole, 1 | 127 << 8, 0).astype(np.uint32).view(np.float32)
        made = frame.with_data(np.where(hole, donor.data, frame.data))
        return {"image": made, "provenance": Image(codes[None], frame.region, ("provenance",))}


def test_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {row.name: row for row in bench.run(quick=True)}
    assert rows["dust: SDIp uncompensated, F1"].value > 0.4
    have = bench.registry()
    for node in (Spikes, Before):
        if node.id not in set(have):
            have.add(node)
    monkeypatch.setattr(bench, "registry", lambda: have)
    rows = {row.name: row for row in bench.run(quick=True)}
    assert rows["dust: DirtDetect, F1"].value > 0.3
    assert rows["dust: Repair, pixels called kept bit-identical"].value == 100
    assert rows["dust: Repair, PSNR of damaged pixels"].value > 15
    assert rows["detected and repaired: pixels called kept but changed"].value == 0
    assert rows["detect and repair over Degrain"].value > 0
    assert rows["frames: repeat, recall"].value == 1 and rows["frames: flash, recall"].value == 1
    assert rows["frames: clean frames called anything"].value == 0
    assert rows["frames: area of blotches and splices, precision"].value > 0.7
    for kind in ("dust", "scratches", "large"):
        title = f"no donor, {kind}: Repair, structure"
        assert rows[f"{title}, regions reconstructed"].value > 30
        assert rows[f"{title}, PSNR to the clean picture"].value > 10
