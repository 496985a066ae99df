"""GrainAnalyse: what it says of grain that is known, and that the picture is handed on untouched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError, SafelightError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Request, Settings
from safelight.graph.progress import Silent
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.grain.analyse import GrainAnalyse, GrainAnalyseParams
from safelight.nodes.grain.profile import BINS, Profile, load_profile
from safelight.nodes.grain.residual import REACH, autocovariance, cut, measure, radial
from safelight.nodes.grain.spectrum import pixel_ratio, spectrum_1d
from safelight.nodes.grain.stock import load_stock

TWO = Device("cpu", 2)


class Heard(Silent):
    """Keeps what a person is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def analysed(frames: np.ndarray, **settings: Any) -> Profile:
    """Run the analysis on frames (n, C, H, W) as the engine does."""
    node, params = GrainAnalyse(), GrainAnalyseParams(**settings)
    region = Region.sized(frames.shape[3], frames.shape[2])
    names = ("R", "G", "B") if frames.shape[1] == 3 else ("Y",)
    clips = {"input": Clip(1, len(frames), region, region, channels=names)}
    assert node.wants_analysis(params)
    node.check(params, clips, Settings())
    asked = node.analysis_requests(params, clips)
    images = [
        (r.frame, Image(np.ascontiguousarray(frames[r.frame - 1], np.float32), region, names).crop(r.region))
        for r in asked
    ]
    return Profile.model_validate(json.loads(json.dumps(node.analyse(params, images, clips, TWO)))["profile"])


def grained(rng: np.random.Generator, shape: tuple[int, ...], cloud: float, pitch: float) -> np.ndarray:
    """Grain of variance 1 by another road than Regrain's kernel: filtered in the frequency domain."""
    fy, fx = np.fft.fftfreq(shape[-2]), np.fft.fftfreq(shape[-1])
    power = np.outer(spectrum_1d(cloud, pitch, fy), spectrum_1d(cloud, pitch, fx))
    white = np.fft.fft2(rng.standard_normal(shape))
    return np.fft.ifft2(white * np.sqrt(power)).real


def rings(cloud: float, pitch: float) -> np.ndarray:
    """The model's power in ten rings."""
    f = np.fft.fftfreq(200)
    power = np.outer(spectrum_1d(cloud, pitch, f), spectrum_1d(cloud, pitch, f))
    ring = (np.hypot(f[:, None], f[None]) / 0.5 * BINS).astype(int)
    return np.array([power[ring == index].mean() for index in range(BINS)])


def mixed_frames(film: float, count: int = 4, pitch: float = 6.0) -> np.ndarray:
    """A flat ramp with noise of 0.1 stops in log light, `film` of its variance grain of 3 µm clouds, the rest white."""
    rng = np.random.default_rng(7)
    shape = (count, 3, 256, 320)
    noise = film**0.5 * grained(rng, shape, 3.0, pitch) + (1 - film) ** 0.5 * rng.standard_normal(shape)
    stops = np.linspace(-2, 2, shape[3])[None, None, None] + 0.1 * noise
    return 0.18 * 2.0**stops


@pytest.mark.parametrize("pitch", [12.0, 6.0])
def test_the_autocovariance_of_flattened_blocks_is_without_bias(pitch: float) -> None:
    rng = np.random.default_rng(2)
    noise = grained(rng, (1, 1024, 1024), 3.0, pitch)
    y, x = np.mgrid[:1024, :1024]
    blocks = cut(noise + 0.05 * x - 0.02 * y + 3)
    found = autocovariance(measure(blocks, blocks, blocks.mean((2, 3))).sums.mean(0)[0])
    line = np.fft.irfft(spectrum_1d(3.0, pitch, np.fft.rfftfreq(64)), 64)[: REACH + 1]
    assert np.abs(found - np.outer(line, line)).max() < 0.015
    np.testing.assert_allclose(radial(found / found[0, 0], BINS)[1:], rings(3.0, pitch)[1:], rtol=0.05)


@pytest.fixture(scope="module", params=[12.0, 6.0], ids=["2K", "4K"])
def plate(request: pytest.FixtureRequest) -> tuple[float, Profile]:
    """The built-in Plate on 500T, at the pitch of a 2K and a 4K scan."""
    pitch = request.param
    text = f"""safelight = 1
[nodes.plate]
type = "Plate"
width = 1792
height = 1008
frames = 4
[nodes.film]
type = "Regrain"
input = "plate"
pitch = {pitch}
"""
    graph = Graph.from_document(Document.parse(text, Path()))
    frames = np.stack([image.data for _, image in pull(graph, "film", device=TWO)])
    return pitch, analysed(frames, stock="500T", pitch=pitch)


def test_sigma_of_a_known_stock(plate: tuple[float, Profile]) -> None:
    pitch, profile = plate
    stock = load_stock("500T")
    assert profile.domain == "density" and profile.stock == "500T" and profile.grain
    for layer, (name, channel) in enumerate(profile.channels.items()):
        seen = 0
        for point in channel.curve:
            # The chart's patches stand at whole stops.
            if point.stops is None or abs(point.stops) > 3.2 or abs(point.stops - round(point.stops)) > 0.12:
                continue
            truth = stock.sigma48_at(layer, point.level) * pixel_ratio(stock.cloud_um[layer], pitch)
            assert point.sigma == pytest.approx(float(truth), rel=0.1), (name, point)
            assert 0 < point.uncertainty < 0.1 * point.sigma and point.samples >= 6 * 256
            seen += 1
        assert seen >= 5


def test_spectrum_of_a_known_stock(plate: tuple[float, Profile]) -> None:
    pitch, profile = plate
    stock = load_stock("500T")
    for layer, channel in enumerate(profile.channels.values()):
        ratio = np.asarray(channel.spectrum) / rings(stock.cloud_um[layer], pitch)
        assert np.sum(np.abs(ratio - 1) <= 0.1) >= 8, ratio
    np.testing.assert_allclose(profile.correlation, np.eye(3), atol=0.05)
    assert profile.frequencies_per_mm is not None
    assert profile.frequencies_per_mm[-1] == pytest.approx(0.475 * 1000 / pitch, rel=1e-3)


def test_correlated_channels_are_found() -> None:
    rng = np.random.default_rng(3)
    own = grained(rng, (4, 3, 256, 256), 2.5, 6.0)
    own[:, 2] = 0.6 * own[:, 1] + 0.8 * own[:, 2]
    profile = analysed(0.18 * np.exp(0.05 * own))
    np.testing.assert_allclose(profile.correlation, [[1, 0, 0], [0, 1, 0.6], [0, 0.6, 1]], atol=0.05)


@pytest.mark.parametrize("film", [0.0, 0.4, 0.75, 1.0])
def test_film_and_digital_shares(film: float) -> None:
    profile = analysed(mixed_frames(film), pitch=6.0)
    for channel in profile.channels.values():
        assert channel.film_share == pytest.approx(film, abs=0.15)
        assert channel.film_share_range is not None
        assert channel.film_share_range[0] <= channel.film_share <= channel.film_share_range[1]


def test_sigma_in_stops_and_in_plate_values() -> None:
    for count in (4, 1):  # a still has no neighbour
        profile = analysed(mixed_frames(1.0, count))
        for channel in profile.channels.values():
            for point in channel.curve:
                steepness = point.level / (point.level + 0.01)  # of the log domain's toe
                assert point.sigma == pytest.approx(0.1 * steepness, rel=0.1)
                assert point.sigma_linear == pytest.approx(0.1 * np.log(2) * point.level, rel=0.12)
                assert point.method == "spatial" if count == 1 else True


def test_a_plate_without_grain_says_so() -> None:
    y, x = np.mgrid[:128, :160]
    still = np.repeat((0.1 + 0.001 * x + 0.0005 * y)[None, None], 3, axis=1)
    profile = analysed(np.repeat(still, 4, axis=0))
    assert profile.note == "no grain found" and not profile.grain
    assert profile.correlation == np.eye(3).tolist()


def test_missing_pixels_and_a_held_frame_change_little() -> None:
    frames = mixed_frames(1.0).astype(np.float32)
    whole = analysed(frames)
    frames[0, :, 40:44, 60:70] = np.nan
    frames[1, 1, 100, 100] = np.inf
    frames[3] = frames[2]
    held = analysed(frames)
    for name, channel in held.channels.items():
        # The lowest ring holds few periods: it is the least certain.
        assert channel.spectrum[1:] == pytest.approx(whole.channels[name].spectrum[1:], rel=0.25)
        middle = [p.sigma for p in channel.curve if p.stops is not None and abs(p.stops) < 1]
        assert middle and all(sigma == pytest.approx(0.094, rel=0.12) for sigma in middle)


def test_a_patch_is_measured_alone() -> None:
    rng = np.random.default_rng(5)
    frames = 0.18 * 2.0 ** (0.3 * rng.standard_normal((2, 1, 160, 160)))
    frames[:, :, 32:128, 32:128] = 0.18 * 2.0 ** (0.05 * rng.standard_normal((2, 1, 96, 96)))
    profile = analysed(frames, patch=[32, 32, 128, 128])
    assert profile.plate.patch == (32, 32, 128, 128)
    (point,) = profile.channels["Y"].curve
    assert point.sigma == pytest.approx(0.05 * 0.18 / 0.19, rel=0.1) and point.samples <= 2 * 96 * 96


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"patch": [0, 0, 64]}, "not 3 numbers"),
        ({"patch": [0, 0, 64, 400]}, "does not lie in the picture"),
        ({"patch": [64, 0, 0, 64]}, "does not lie in the picture"),
        ({"patch": [0, 0, 40, 40]}, "too small"),
        ({"domain": "density"}, "none is named"),
        ({"stock": "400X"}, "no film stock"),
        ({"profile": "/no/such/folder/p.json"}, "folder of the profile"),
    ],
)
def test_bad_parameters_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(GraphError, match=says):
        analysed(np.full((1, 3, 128, 128), 0.18), **settings)


def test_too_little_to_measure_is_an_error() -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(SafelightError, match="only 5 areas"):
        analysed(0.2 + 0.01 * rng.standard_normal((1, 3, 16, 80)))
    with pytest.raises(SafelightError, match="only 0 areas"):
        analysed(np.full((2, 3, 64, 64), np.nan))
    with pytest.raises(SafelightError, match="clipped"):
        analysed((rng.random((2, 3, 64, 64)) > 0.5).astype(np.float64))


def test_in_a_graph_it_hands_on_the_plate_and_saves_the_profile(tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text("")
    text = """safelight = 1
[nodes.plate]
type = "Plate"
width = 320
height = 180
frames = 3
[nodes.film]
type = "Regrain"
input = "plate"
[nodes.grain]
type = "GrainAnalyse"
input = "film"
profile = "film.json"
"""

    def made() -> Graph:
        return Graph.from_document(Document.parse(text, tmp_path, tmp_path / "g.toml"))

    graph, heard = made(), Heard()
    given = [image.data for _, image in pull(graph, "film", device=TWO, progress=heard)]
    handed = [image.data for _, image in pull(graph, "grain", device=TWO, progress=heard)]
    assert all(np.array_equal(a, b) for a, b in zip(given, handed, strict=True))
    profile = load_profile(tmp_path / "film.json")
    assert profile.grain and profile.plate.frames == [1001, 1002, 1003] and profile.plate.width == 320
    assert GrainAnalyse().identity(graph.params["grain"], Request(1001, Region.sized(2, 2))) == "input"
    # Later renders take what was kept, but where the profile has gone.
    list(pull(made(), "grain", frames=[1001], device=TWO, progress=heard))
    assert len(heard.notes) == 1 and "grain: sigma" in heard.notes[0]
    (tmp_path / "film.json").unlink()
    list(pull(made(), "grain", frames=[1001], device=TWO, progress=heard))
    assert "a file of its analysis has gone, so the shot is analysed again" in heard.notes[1]
    assert load_profile(tmp_path / "film.json") == profile
