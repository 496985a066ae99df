"""GrainMatch: what it lays in is the reference's grain, and what it says of the match is true."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document, load_document
from safelight.graph.errors import GraphError, SafelightError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.progress import Step
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.graph.signature import Signatures
from safelight.nodes.grain.analyse import GrainAnalyse, GrainAnalyseParams
from safelight.nodes.grain.domain import TOE
from safelight.nodes.grain.match import GrainMatch, GrainMatchParams
from safelight.nodes.grain.regrain import film, film_layers
from safelight.nodes.grain.residual import radial
from safelight.nodes.grain.stock import load_stock
from tests.nodes.grain.test_analyse import grained

TWO = Device("cpu", 2)


class Shown:
    """Pictures as the engine hands them to an analysis."""

    def __init__(self, ports: Mapping[str, np.ndarray], asked: Mapping[str, Sequence[Request]]) -> None:
        self.ports, self.asked, self.settings = ports, asked, Settings()

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        return self.of("input")

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        frames = self.ports[port]
        region = Region.sized(frames.shape[3], frames.shape[2])
        for request in self.asked[port]:
            data = np.ascontiguousarray(frames[request.frame - 1], np.float32)
            yield request.frame, Image(data, region, names_of(frames))


def names_of(frames: np.ndarray) -> tuple[str, ...]:
    return ("R", "G", "B", "A")[: frames.shape[1]] if frames.shape[1] > 1 else ("Y",)


def clip_of(frames: np.ndarray) -> Clip:
    region = Region.sized(frames.shape[3], frames.shape[2])
    return Clip(1, len(frames), region, region, channels=names_of(frames))


def analysed(picture: np.ndarray, reference: np.ndarray | None = None, **settings: Any) -> Mapping[str, Any]:
    """Run the analysis on frames (n, C, H, W) as the engine does."""
    node, params = GrainMatch(), GrainMatchParams(**settings)
    ports = {"input": picture} | ({} if reference is None else {"reference": reference})
    clips = {port: clip_of(frames) for port, frames in ports.items()}
    node.check(params, clips, Settings())
    shown = Shown(ports, node.analysis_requests(params, clips))
    return dict(json.loads(json.dumps(node.analyse(params, shown, clips, TWO))))


def matched(
    picture: np.ndarray,
    analysis: Mapping[str, Any] | None,
    frame: int = 1,
    part: Region | None = None,
    matte: Image | None = None,
    threads: int = 2,
    **settings: Any,
) -> Mapping[str, Image]:
    region = Region.sized(picture.shape[3], picture.shape[2])
    image = Image(np.ascontiguousarray(picture[frame - 1], np.float32), region, names_of(picture))
    request = Request(frame, part or region)
    images = {"input": {frame: image}} | ({} if matte is None else {"matte": {frame: matte}})
    inputs = Inputs(request, images, {"input": clip_of(picture)}, analysis=analysis)
    return GrainMatch().compute(GrainMatchParams(**settings), request, inputs, Device("cpu", threads))


def ramp(frames: int = 4, height: int = 320, width: int = 320, low: float = -3, high: float = 3) -> np.ndarray:
    """A clean ramp of stops, steps along x."""
    stops = np.repeat(np.linspace(low, high, width // 32), 32)[:width]
    return np.broadcast_to(0.18 * 2.0**stops, (frames, 3, height, width)).copy()


def noisy(clean: np.ndarray, seed: int = 3, cloud: float = 3.0, pitch: float = 9.0, r: float = 0.5) -> np.ndarray:
    """Coloured noise in stops, stronger in the shadows, green and blue sharing some."""
    rng = np.random.default_rng(seed)
    field = grained(rng, clean.shape, cloud, pitch)
    field[:, 2] = r * field[:, 1] + (1 - r**2) ** 0.5 * field[:, 2]
    sigma = 0.08 * (1 + np.exp(-np.log2(clean / 0.18) / 3))
    return clean * 2.0 ** (sigma * field)


@pytest.fixture(scope="module")
def coloured() -> tuple[np.ndarray, Mapping[str, Any]]:
    clean = ramp(low=-2, high=2)
    return clean, analysed(clean, noisy(ramp()))


def errors(result: Mapping[str, Any], when: str = "after") -> tuple[float, float, float]:
    """Worst of the channels: rms error of sigma, worst ring, correlation."""
    rows = list(result["match"][when]["channels"].values())
    assert len(rows) == len(result["channels"])
    sigma, ring = max(row["sigma_rms"] for row in rows), max(abs(row["spectrum_worst"]) for row in rows)
    return sigma, ring, result["match"][when]["correlation"]


def test_the_match_is_measured_before_and_after(coloured: tuple[np.ndarray, Mapping[str, Any]]) -> None:
    _, result = coloured
    sigma, ring, shared = errors(result)
    assert sigma < 0.05 and ring < 0.1 and shared < 0.03
    assert errors(result, "before")[:2] == (1.0, 1.0) and errors(result, "before")[2] == pytest.approx(0.5, abs=0.05)
    assert "off before: sigma 100.0%" in result["note"] and "has no grain of its own" in result["note"]


def test_what_is_laid_in_has_the_references_true_figures(coloured: tuple[np.ndarray, Mapping[str, Any]]) -> None:
    clean, result = coloured
    frames = [matched(clean, result, frame)["image"].data for frame in (1, 2, 3, 4)]
    steps = np.log2(1 + np.stack(frames) / TOE) - np.log2(1 + clean / TOE)
    for place in range(0, 320, 32):
        light = clean[0, 0, 0, place]
        want = 0.08 * (1 + np.exp(-np.log2(light / 0.18) / 3)) * light / (light + TOE)
        for c in range(3):
            assert steps[:, c, :, place : place + 32].std() == pytest.approx(want, rel=0.05)
    unit = (steps - steps.mean((0, 2), keepdims=True)) / steps.std((0, 2), keepdims=True)
    shared = np.corrcoef(unit.swapaxes(0, 1).reshape(3, -1))
    np.testing.assert_allclose(shared, [[1, 0, 0], [0, 1, 0.5], [0, 0.5, 1]], atol=0.03)
    power = (np.abs(np.fft.fft2(unit)) ** 2).mean((0, 1))
    model = np.abs(np.fft.fft2(grained(np.random.default_rng(9), (24, 320, 320), 3.0, 9.0))) ** 2
    f = np.hypot(np.fft.fftfreq(320)[:, None], np.fft.fftfreq(320)[None])
    for ring in range(10):
        mine = (f >= ring / 20) & (f < (ring + 1) / 20)
        assert power[mine].mean() / power.mean() == pytest.approx(
            model.mean(0)[mine].mean() / model.mean(), rel=0.1, abs=0.02
        )


def test_the_mean_light_is_kept(coloured: tuple[np.ndarray, Mapping[str, Any]]) -> None:
    clean, result = coloured
    made = np.stack([matched(clean, result, frame)["image"].data for frame in (1, 2, 3, 4)])
    for place in range(0, 320, 32):
        cut = (..., slice(place, place + 32))
        assert made[cut].mean() == pytest.approx(clean[cut].mean(), rel=0.004)


def test_a_spectrum_that_differs_along_and_across_is_matched() -> None:
    rng = np.random.default_rng(5)
    white = rng.standard_normal((4, 3, 324, 320))
    along = (white[..., 2:-2, :] + white[..., 1:-3, :] + white[..., 3:-1, :]) / 3**0.5
    clean = ramp(low=-1, high=1)
    result = analysed(clean, clean * 2.0 ** (0.1 * along))
    step = np.log2(matched(clean, result)["image"].data / clean[0])
    across, down = (float(np.mean(step * np.roll(step, 1, axis))) / step.var() for axis in (2, 1))
    assert abs(across) < 0.03 and down == pytest.approx(2 / 3, abs=0.04)


def test_digital_white_noise() -> None:
    rng = np.random.default_rng(6)
    light = ramp(low=-3, high=2)
    sigma = np.sqrt(4e-6 + 4e-4 * light)  # of a sensor: read noise and photons
    reference = light + sigma * rng.standard_normal(light.shape)
    clean = ramp(low=-2, high=2)
    result = analysed(clean, reference, domain="linear")
    assert errors(result)[0] < 0.05 and errors(result)[1] < 0.1 and errors(result)[2] < 0.03
    added = matched(clean, result)["grain"].data
    for place in range(0, 320, 32):
        want = np.sqrt(4e-6 + 4e-4 * clean[0, 0, 0, place])
        assert added[..., place : place + 32].std() == pytest.approx(want, rel=0.06)
    assert abs(np.mean(added[..., 1:] * added[..., :-1])) < 0.03 * added.var()


def test_what_is_missing_is_added_to_grain_that_is_there() -> None:
    clean = ramp(low=-2, high=2)
    reference = noisy(ramp(), seed=3)
    weak = clean + 0.5 * (noisy(clean, seed=8) - clean)
    result = analysed(weak, reference)
    assert 0.4 < errors(result, "before")[0] < 0.6
    sigma, ring, shared = errors(result)
    assert sigma < 0.05 and ring < 0.1 and shared < 0.03
    assert "has no grain of its own" not in result["note"] and "Careful" not in result["note"]


def test_more_grain_than_the_references_is_said_and_none_added() -> None:
    clean = ramp(low=-2, high=2)
    strong = clean * (noisy(clean, seed=8) / clean) ** 1.5
    result = analysed(strong, noisy(ramp()))
    assert "times the reference's grain in R at" in result["note"] and "put a Degrain before" in result["note"]
    made = matched(strong, result)
    np.testing.assert_array_equal(made["image"].data, strong[0].astype(np.float32))
    assert not made["grain"].data.any()
    anyway = analysed(strong[:1, :, :160], noisy(ramp(2, 160)), subtract=False)
    assert "the input is taken for clean" in anyway["note"] and errors(anyway)[0] < 0.1
    assert matched(strong, anyway)["grain"].data.std() > 0.01


def test_a_reference_without_grain_adds_nothing_and_says_so() -> None:
    clean = ramp()
    y, x = np.mgrid[:128, :160]
    still = np.broadcast_to(0.1 + 0.001 * x + 0.0005 * y, (2, 3, 128, 160))
    result = analysed(clean, still)
    assert result["note"] == "the reference has no grain: nothing is added"
    np.testing.assert_array_equal(matched(clean, result)["image"].data, clean[0].astype(np.float32))


def test_a_reference_that_cannot_be_measured_is_an_error() -> None:
    with pytest.raises(SafelightError, match=r"only 0 areas of 16 x 16 pixels of the reference"):
        analysed(ramp(), np.full((2, 3, 64, 64), np.nan))


def test_an_input_that_cannot_be_measured_gets_its_grain_all_the_same() -> None:
    clean = ramp(1, 24, 64)
    result = analysed(clean, noisy(ramp()))
    assert "the match cannot be measured" in result["note"] and "areas of the input" in result["note"]
    assert matched(clean, result)["grain"].data.std() > 0


def test_a_profile_gives_nearly_the_same_as_the_plate(
    coloured: tuple[np.ndarray, Mapping[str, Any]], tmp_path: Path
) -> None:
    clean, reference = coloured[0], noisy(ramp())
    clips = {"input": clip_of(reference)}
    node, params = GrainAnalyse(), GrainAnalyseParams(profile=str(tmp_path / "a.json"))
    asked = node.analysis_requests(params, clips)
    node.analyse(params, Shown({"input": reference}, {"input": asked}), clips, TWO)
    result = analysed(clean, profile=params.profile)
    a, b = (matched(clean, found)["grain"].data for found in (result, coloured[1]))
    # The profile's figures are rounded, its far lags found from its rings.
    assert np.sqrt(np.mean((a - b) ** 2)) < 0.03 * b.std()


def test_a_profile_in_density_is_laid_in_in_density(tmp_path: Path) -> None:
    clean = ramp(low=-2, high=3)
    stock = load_stock("500T")
    rng = np.random.default_rng(2)
    source = ramp(low=-4, high=4)
    sigma = film(stock, 6.0, film_layers(("R", "G", "B"))[1])
    reference = np.empty_like(source)
    for c, curve in enumerate(stock.curves):
        at = np.interp(source[:, c], sigma.tables.light_samples, sigma.sigma[c])
        reference[:, c] = curve.exposure_of_net(curve.net(source[:, c]) + at * grained(rng, at.shape, 3.0, 6.0))
    result = analysed(clean, reference, stock="500T")
    assert result["domain"] == "density" and errors(result)[0] < 0.05 and errors(result)[1] < 0.1
    made = matched(clean, result)["image"].data
    for c, curve in enumerate(stock.curves):
        step = curve.net(made[c]) - curve.net(clean[0, c])
        for place in range(0, 320, 32):
            want = np.interp(clean[0, c, 0, place], sigma.tables.light_samples, sigma.sigma[c])
            assert step[:, place : place + 32].std() == pytest.approx(want, rel=0.07)


def test_one_channel_and_three() -> None:
    clean = ramp(1, 160, 320, -1, 7)
    shared = analysed(clean, noisy(ramp(2, 160))[:, 1:2])
    grain = matched(clean, shared)["grain"].data
    np.testing.assert_allclose(grain[0], grain[1], atol=1e-3 * grain.std())
    for name in "RGB":
        assert f"40% of the input's {name} lie above +3.0 stops, where the reference could not" in shared["note"]
    node = GrainMatch()

    def said(a: Clip, b: Clip) -> str:
        return " ".join(node.check(GrainMatchParams(), {"input": a, "reference": b}, Settings()))

    rgb, one = clip_of(clean), clip_of(clean[:, :1])
    assert "the reference's green" in said(one, rgb) and "the same in each" in said(rgb, one) and not said(rgb, rgb)
    wide = clip_of(ramp(2, 64, 640))
    assert "the reference is 640 pixels wide and the input 320" in said(rgb, wide)


def test_strength_and_channels_scale_sigma(coloured: tuple[np.ndarray, Mapping[str, Any]]) -> None:
    clean, result = coloured
    clean = clean.astype(np.float32)
    one = np.log2(matched(clean, result)["image"].data / clean[0])
    two = np.log2(matched(clean, result, strength=2, red=0, blue=0.5)["image"].data / clean[0])
    np.testing.assert_array_equal(matched(clean, result, red=0)["image"].data[0], clean[0, 0].astype(np.float32))
    assert not matched(clean, result, red=0)["grain"].data[0].any()
    assert two[1].std() == pytest.approx(2 * one[1].std(), rel=0.01)
    assert two[2].std() == pytest.approx(one[2].std(), rel=0.01)
    node = GrainMatch()
    for idle in (GrainMatchParams(strength=0), GrainMatchParams(red=0, green=0, blue=0)):
        assert node.identity(idle, Request(1, Region.sized(4, 4))) == "input" and not node.wants_analysis(idle)
    assert node.identity(GrainMatchParams(), Request(1, Region.sized(4, 4))) is None
    np.testing.assert_array_equal(matched(clean, None, strength=0)["image"].data, clean[0].astype(np.float32))
    other = matched(clean, result, seed=2)["grain"].data
    same = matched(clean, result)["grain"].data
    assert abs(np.corrcoef(other.ravel(), same.ravel())[0, 1]) < 0.02
    later = matched(clean, result, frame=2)["grain"].data
    assert abs(np.corrcoef(later.ravel(), same.ravel())[0, 1]) < 0.02


def test_tiles_threads_and_other_channels(coloured: tuple[np.ndarray, Mapping[str, Any]]) -> None:
    _, result = coloured
    rng = np.random.default_rng(1)
    picture = rng.normal(0.2, 0.5, (1, 4, 60, 90)).astype(np.float32)
    picture[0, 1, 7, 8], picture[0, 2, 9, 9], picture[0, 0, 3, 3] = np.nan, np.inf, 4.0
    whole = matched(picture, result)
    for port in ("image", "grain"):
        for threads in (1, 3):
            np.testing.assert_array_equal(matched(picture, result, threads=threads)[port].data, whole[port].data)
        part = Region(13, 5, 77, 31)
        np.testing.assert_array_equal(matched(picture, result, part=part)[port].data, whole[port].data[:, 5:31, 13:77])
    image, grain = whole["image"].data, whole["grain"].data
    np.testing.assert_array_equal(image, picture[0] + grain)
    np.testing.assert_array_equal(image[3], picture[0, 3])
    assert np.isnan(image[1, 7, 8]) and np.isinf(image[2, 9, 9]) and grain[1, 7, 8] == grain[2, 9, 9] == 0
    assert not grain[3].any() and (image[:3][picture[0, :3] < 0] != picture[0, :3][picture[0, :3] < 0]).all()
    assert image[0, 3, 3] != 4 and abs(image[0, 3, 3] - 4) < 4


def test_a_matte_weighs_the_grain(coloured: tuple[np.ndarray, Mapping[str, Any]]) -> None:
    clean, result = coloured
    full = matched(clean, result)
    region = Region(40, 10, 300, 200)
    data = np.zeros((1, 190, 260), np.float32)
    data[:, :, 60:] = 1
    made = matched(clean, result, matte=Image(data, region, ("A",)))
    np.testing.assert_array_equal(made["image"].data[:, 10:200, 100:300], full["image"].data[:, 10:200, 100:300])
    outside = made["grain"].data.copy()
    outside[:, 10:200, 100:300] = 0
    assert not outside.any()
    data[:] = 0.5
    half = matched(clean, result, matte=Image(data, region, ("A",)))["image"].data
    step, whole = (np.log2(a / clean[0])[:, 10:200, 40:300] for a in (half, full["image"].data))
    assert step.std() == pytest.approx(0.5 * whole.std(), rel=0.02)


@pytest.mark.parametrize(
    ("settings", "ports", "says"),
    [
        ({}, ("input",), "nothing to match"),
        ({"profile": "p.json"}, ("input", "reference"), "two things to match"),
        ({"profile": "p.json"}, ("input",), "cannot be read"),
        ({"domain": "density"}, ("input", "reference"), "none is named"),
        ({"stock": "400X"}, ("input", "reference"), "no film stock"),
        ({"profile": "p.json", "stock": "500T"}, ("input",), "brings the domain"),
    ],
)
def test_bad_parameters_are_refused(settings: dict[str, Any], ports: tuple[str, ...], says: str) -> None:
    clip = clip_of(ramp())
    with pytest.raises(GraphError, match=says):
        GrainMatch().check(GrainMatchParams(**settings), dict.fromkeys(ports, clip), Settings())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ('{"safelight_grain": 9}', "reads 1"),
        ('{"safelight_grain": 1}', "broken"),
        ("[]", "no grain profile"),
    ],
)
def test_bad_profiles_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(GraphError, match=says):
        GrainMatch().check(GrainMatchParams(profile=str(path)), {"input": clip_of(ramp())}, Settings())


def test_bad_pictures_are_refused() -> None:
    node, clip = GrainMatch(), clip_of(ramp())
    depth = Clip(1, 2, clip.display, clip.extent, channels=("Z",))
    small = clip_of(ramp(2, 64, 64))
    red = Clip(1, 2, clip.display, clip.extent, channels=("R",))
    for ports, says in (
        ({"input": depth, "reference": clip}, "no R, G, B or Y"),
        ({"input": clip, "reference": depth}, "no R, G, B or Y"),
        ({"input": clip, "reference": clip, "matte": small}, "the matte is"),
        ({"input": clip, "reference": red}, "no channel G"),
        ({"input": clip, "reference": Clip(1, 0, clip.display, clip.extent)}, "no frames"),
    ):
        with pytest.raises(GraphError, match=says):
            node.check(GrainMatchParams(), ports, Settings())


class Notes:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def step(self, step: Step) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


TEXT = """safelight = 1
[nodes.plate]
type = "Plate"
width = 480
height = 270
frames = 3
[nodes.film]
type = "Regrain"
input = "plate"
pitch = 12
[nodes.render]
type = "Plate"
width = 480
height = 270
frames = 2
seed = 5
[nodes.match]
type = "GrainMatch"
inputs = {input = "render", reference = "film"}
"""


def test_in_a_graph_the_reference_is_looked_at_once(tmp_path: Path) -> None:
    path = tmp_path / "shot.toml"
    path.write_text(TEXT)
    graph = Graph.from_document(load_document(path))
    notes = Notes()
    frames = {frame: image.data for frame, image in pull(graph, "match", device=TWO, progress=notes)}
    clean = {frame: image.data for frame, image in pull(graph, "render", device=TWO)}
    added = {frame: image.data for frame, image in pull(graph, "match", "grain", device=TWO, tile=128, progress=notes)}
    for frame, data in frames.items():
        np.testing.assert_array_equal(data, clean[frame] + added[frame])
        assert 0.001 < added[frame].std() < 1
    (note,) = notes.notes
    assert "off before: sigma 100.0%" in note
    kept = json.loads((tmp_path / "shot.safelight" / "match.analysis.json").read_text())
    assert set(kept["result"]["match"]) == {"before", "after"} and len(kept["plate"]) == 3


def test_a_profiles_content_is_part_of_the_signature(tmp_path: Path) -> None:
    profile = tmp_path / "p.json"
    text = TEXT.replace('inputs = {input = "render", reference = "film"}', f'input = "render"\nprofile = "{profile}"')
    signs = []
    for content in ("1", "2", "1"):
        profile.write_text(content)
        graph = Graph.from_document(Document.parse(text, tmp_path))
        signs.append(Signatures(graph).of("match", "image", graph.clip("match").first))
    assert signs[0] == signs[2] != signs[1]


def test_the_rings_of_what_is_added_are_the_references(coloured: tuple[np.ndarray, Mapping[str, Any]]) -> None:
    _, result = coloured
    for channel, laid in zip(result["reference"]["channels"].values(), result["added"]["autocorrelation"], strict=True):
        np.testing.assert_allclose(radial(np.array(laid), 10), channel["spectrum"], rtol=1e-3, atol=1e-3)
