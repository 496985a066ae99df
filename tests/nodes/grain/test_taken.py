"""What Degrain takes of a stock's grain is grain; and Regrain on what it leaves reads as fresh grain does."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.regrain import Regrain, RegrainParams
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.measure.microdensitometer import Microdensitometer
from safelight.nodes.measure.spectra import edge_correlation, ring_ratio

from .scene import moving_scene
from .test_degrain import degrain, pictures

PITCH = 6.08
STOCK = load_stock("500T")
FILM = coding("density", STOCK.curves)
SIDE = 256


def regrain(image: Image, frame: int, seed: int) -> Image:
    """Put the stock's grain on one picture."""
    request = Request(frame, image.region)
    inputs = Inputs(request, {"input": {frame: image}}, {"input": Clip(0, 9, image.region, image.region)})
    return Regrain().compute(RegrainParams(stock="500T", pitch=PITCH, seed=seed), request, inputs, Device("cpu", 2))


def shaded() -> np.ndarray:
    """A still plate of smooth shading, two stops from side to side, (5, 3, SIDE, SIDE), scene-linear."""
    stops = np.linspace(-1, 1, SIDE) + np.linspace(-0.5, 0.5, SIDE)[:, None]
    return np.broadcast_to(0.18 * 2.0**stops, (5, 3, SIDE, SIDE)).astype(np.float32)


def moving() -> np.ndarray:
    """A pan with an object that moves against it, scene-linear."""
    return ((moving_scene(5, 144, 208).transpose(0, 3, 1, 2) / np.float32(255)) ** np.float32(2.2)).astype(np.float32)


def taken(clean: np.ndarray, noise: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, Image]:
    """Return what was taken, the true grain, the clean picture (all in density) and Degrain's picture."""
    plate = {n: regrain(image, n, 3) for n, image in pictures(clean).items()}
    settings = {"noise": noise, "pitch": PITCH, "domain": "density", "stock": "500T"}
    image, _ = degrain(plate, 2, **settings)
    truth = FILM.encode(clean[2])
    return FILM.encode(plate[2].data) - FILM.encode(image.data), FILM.encode(plate[2].data) - truth, truth, image


@pytest.mark.parametrize("noise", ["stock", "auto"])
def test_on_shading_every_ring_is_grain_and_regrain_reads_true(noise: str) -> None:
    clean = shaded()
    grain, true, picture, image = taken(clean, noise)
    ratio = ring_ratio(grain, true)
    # The lowest ring here holds 30 waves: its own spread is several per cent.
    assert ratio[0] == pytest.approx(0.9, abs=0.1) and (np.abs(ratio[1:] - 1) < 0.1).all(), ratio
    assert edge_correlation(grain, picture) < 0.02
    again = FILM.encode(regrain(image, 2, 99).data) - picture
    fresh = FILM.encode(regrain(pictures(clean)[2], 2, 99).data) - picture
    assert (np.abs(ring_ratio(again, fresh) - 1) < 0.1).all()
    meter = Microdensitometer(PITCH)
    for layer, cloud in enumerate(STOCK.cloud_um):
        readings = [meter.sigma(planes[layer], cloud, 4) for planes in (again, fresh)]
        assert readings[0] == pytest.approx(readings[1], rel=0.05)


@pytest.mark.parametrize("noise", ["stock", "auto"])
def test_in_motion_and_texture_what_is_taken_is_grain(noise: str) -> None:
    grain, true, picture, _ = taken(moving(), noise)
    ratio = ring_ratio(grain, true)
    assert (ratio > 0.68).all() and (ratio < 1.2).all() and (ratio[3:] > 0.78).all(), ratio
    assert edge_correlation(grain, picture) < 0.02
