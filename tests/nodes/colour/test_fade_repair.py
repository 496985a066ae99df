"""FadeRepair: what it brings back, what it leaves alone, what it refuses, how sure it says it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.document import load_document
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.host_adapters.cli.bench._colour_fade import difference
from safelight.nodes.colour.fade_estimate import NUMBERS, Stage, estimator
from safelight.nodes.colour.fade_repair import FadeRepair, FadeRepairParams, spread
from safelight.nodes.colour.fade_statistics import statistics
from safelight.nodes.colour.fade_training import drawn
from safelight.nodes.colour.fade_training import repaired as torch_repaired
from safelight.nodes.colour.fading import BENDS, DENSEST, MEDIA, Curve, Fade, fade_light, repair_light
from safelight.nodes.colour.records import matrix, rec709, records

NODE, TWO = FadeRepair(), Device("cpu", 2)
LOST = Fade((0.4, 0.85, 0.6), (0.05, 0.0, 0.1), (0.06, 0.1, 0.22), (0.06, 0.02, 0.05, 0.03, 0.02, 0.05))
ZERO = [0.0] * 15


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


def to_working() -> np.ndarray:
    config = config_for(Settings())
    space = rec709(config)
    assert space is not None
    return matrix(config, space, config.working)


def scene(frame: int = 0, height: int = 96, width: int = 144) -> np.ndarray:
    """A made-up colour picture as a print shows it: linear Rec.709 (3, h, w), sky, greens, reds, greys, highlights."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[0:height, 0:width]
    x = x + 3 * frame
    light = np.empty((3, height, width))
    sky, field = np.array([0.30, 0.42, 0.62]), np.array([0.10, 0.13, 0.045])
    share = 1 / (1 + np.exp((y - 0.45 * height) / 3))
    light[:] = sky[:, None, None] * share + field[:, None, None] * (1 - share)
    for _ in range(60):
        colour = np.exp(rng.normal(-1.6, 0.9)) * np.exp(rng.normal(0, 0.35, 3) * rng.integers(0, 2))
        cx, cy, r = rng.uniform(0, width + 40), rng.uniform(0, height), rng.uniform(4, 16)
        inside = 1 / (1 + np.exp((np.hypot(x - cx, y - cy) - r) * 1.5))
        light += (colour[:, None, None] - light) * inside
    light *= np.exp(rng.normal(0, 0.06, (1, height, width)))
    light *= 0.55 + 0.45 * np.sin(x / 17 + y / 29) ** 2
    return np.clip(light / np.quantile(light, 0.995), 0.002, 1)


def picture(light: np.ndarray, alpha: bool = False) -> Image:
    data = np.tensordot(to_working(), light, 1)
    if alpha:
        data = np.concatenate([data, np.full_like(data[:1], np.nan)])
    region = Region.sized(light.shape[2], light.shape[1], -3, 4)
    return Image(data.astype(np.float32), region, ("R", "G", "B", "A")[: len(data)], {"note": "kept"})


def rec709_of(image: Image) -> np.ndarray:
    return np.tensordot(np.linalg.inv(to_working()), image.data[:3].astype(np.float64), 1)


class Shown:
    """Pictures as the engine hands them to an analysis."""

    settings = Settings()

    def __init__(self, frames: Mapping[str, list[Image]]) -> None:
        self.frames = frames

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        return self.of("input")

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        yield from enumerate(self.frames[port], 1)


def clip_of(images: list[Image]) -> Clip:
    return Clip(1, len(images), images[0].region, images[0].region, channels=images[0].channels)


def analysed(images: list[Image], reference: list[Image] | None = None, **params: Any) -> Mapping[str, Any]:
    ports = {"input": images} | ({"reference": reference} if reference else {})
    how = FadeRepairParams(**params)
    clips = {port: clip_of(frames) for port, frames in ports.items()}
    list(NODE.check(how, clips, Settings()))
    return NODE.analyse(how, Shown(ports), clips, TWO)


def repaired(image: Image, found: Mapping[str, Any] | None = None, **params: Any) -> Image:
    request = Request(1, image.region)
    inputs = Inputs(request, {"input": {1: image}}, {"input": clip_of([image])}, analysis=found)
    return NODE.compute(FadeRepairParams(**params), request, inputs, TWO)


def numbers(fade: Fade) -> dict[str, Any]:
    """The parameters of a manual repair."""
    made: dict[str, Any] = {"estimate": "manual", "leak": list(fade.leak)}
    for name in ("share", "bend", "stain"):
        made |= {f"{name}_{c}": v for c, v in zip(("red", "green", "blue"), getattr(fade, name), strict=True)}
    return made


# --- the model -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bend", [*BENDS, 0.0, 0.13])
@pytest.mark.parametrize("share", [0.1, 0.6, 1.0, 2.5])
def test_a_curve_rises_and_turns_round(share: float, bend: float) -> None:
    curve, d = Curve(share, bend), np.linspace(-3, 7, 4001)
    y = curve.forward(d)
    assert (np.diff(y) > 0).all()
    np.testing.assert_allclose(curve.inverse(y), d, atol=1e-9)
    np.testing.assert_allclose(curve.forward(1.0), share, atol=1e-12)
    inside = (d >= 0) & (d <= DENSEST)
    np.testing.assert_allclose(y[inside], share * d[inside] * (1 + bend * (d[inside] - 1)), atol=1e-9)
    # Beyond the film's range: a constant gain of light.
    np.testing.assert_allclose(np.diff(y)[(d[1:] < -0.5) | (d[:-1] > DENSEST + 0.5)], d[1] - d[0], atol=1e-9)


@pytest.mark.parametrize("medium", MEDIA)
def test_fading_and_repair_undo_each_other_in_light(medium: str) -> None:
    how, d = MEDIA[medium], np.random.default_rng(1).uniform(0, 2.4, (3, 500))
    light = how.zero * 10 ** (d / how.per_decade)
    back = repair_light(fade_light(light, LOST, how), LOST, how)
    np.testing.assert_allclose(back, light, rtol=1e-9)


@pytest.mark.parametrize("medium", MEDIA)
def test_zero_negative_and_huge_light_survive(medium: str) -> None:
    light = np.array([0.0, -1e-3, -40.0, 3e3, 6e4, 1e-9])
    out = repair_light(np.stack([light] * 3), LOST, MEDIA[medium])
    assert np.isfinite(out).all() and (np.sign(out) == np.sign(light)).all()


# --- by numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("medium", ["print", "negative"])
def test_manual_numbers_bring_a_known_fade_back(medium: str) -> None:
    light = scene()
    faded = fade_light(light, LOST, MEDIA[medium])
    assert difference(faded, light) > 5
    primaries = "Linear Rec.709 (sRGB)"
    made = repaired(picture(faded, alpha=True), medium=medium, primaries=primaries, **numbers(LOST))
    assert difference(rec709_of(made), light) < 0.3
    assert made.metadata == {"note": "kept"} and np.isnan(made.data[3]).all()


def test_pixels_that_are_not_finite_keep_their_bits_and_spoil_no_other() -> None:
    image = picture(fade_light(scene(), LOST, MEDIA["print"]))
    broken = image.data.copy()
    broken[1, 5, 7], broken[0, 9, 9] = np.nan, -np.inf
    a = repaired(image, **numbers(LOST)).data
    b = repaired(image.with_data(broken), **numbers(LOST)).data
    for y, x in ((5, 7), (9, 9)):
        np.testing.assert_array_equal(b[:, y, x].view(np.int32), broken[:, y, x].view(np.int32))
        b[:, y, x] = a[:, y, x]
    np.testing.assert_array_equal(a, b)


def test_nothing_faded_and_strength_0_hand_on_the_input() -> None:
    request = Request(1, Region.sized(4, 4))
    assert NODE.identity(FadeRepairParams(estimate="manual"), request) == "input"
    assert NODE.identity(FadeRepairParams(strength=0), request) == "input"
    assert NODE.identity(FadeRepairParams(), request) is None
    assert NODE.identity(FadeRepairParams(**numbers(LOST)), request) is None


def test_half_the_strength_is_between() -> None:
    light = scene()
    image = picture(fade_light(light, LOST, MEDIA["print"]))
    left = [difference(rec709_of(repaired(image, strength=s, **numbers(LOST))), light) for s in (0, 0.5, 1)]
    assert left[0] > left[1] > left[2]


# --- from the picture ------------------------------------------------------------------------------------------------


def test_a_faded_shot_is_brought_most_of_the_way_back_and_steadily() -> None:
    truth = [scene(i) for i in range(3)]
    shot = [picture(fade_light(light, LOST, MEDIA["print"])) for light in truth]
    found = analysed(shot)
    assert not found["left_alone"] and 0.3 < found["confidence"] <= 1
    assert "confidence" in found["note"] and found["rests_on"]["frames"] == [1, 2, 3]
    for light, image in zip(truth, shot, strict=True):
        before = difference(rec709_of(image), light)
        assert difference(rec709_of(repaired(image, found)), light) < 0.5 * before
    assert found["share"][0] < found["share"][1]


def test_a_shot_that_has_not_faded_keeps_its_bits() -> None:
    image = picture(scene(), alpha=True)
    found = analysed([image])
    assert found["left_alone"] == "it does not look faded" and found["vector"] == ZERO
    np.testing.assert_array_equal(repaired(image, found).data.view(np.int32), image.data.view(np.int32))


@pytest.mark.parametrize("medium", ["negative", "separations"])
def test_other_media(medium: str) -> None:
    light = scene()
    lost = LOST if medium == "negative" else Fade((0.6, 1.3, 0.8), (0, 0, 0), (0.2, -0.1, 0.05))
    image = picture(fade_light(light, lost, MEDIA[medium]))
    primaries = "Linear Rec.709 (sRGB)"
    found = analysed([image], medium=medium, primaries=primaries, leave_unfaded=False)
    made = repaired(image, found, medium=medium, primaries=primaries)
    assert difference(rec709_of(made), light) < 0.75 * difference(rec709_of(image), light)


@pytest.mark.parametrize(
    ("light", "why"),
    [
        (np.zeros((3, 40, 50)), "black"),
        (np.broadcast_to(np.array([0.2, 0.3, 0.1])[:, None, None], (3, 40, 50)), "of one colour"),
        (np.stack([scene()[1]] * 3), "no colours"),
        (np.stack([scene()[1] ** 0.7 * 0.8, scene()[1], scene()[1] ** 0.5 * 0.6]), "no colours"),
        (np.full((3, 40, 50), np.nan), "no finite pixel"),
    ],
)
def test_what_tells_nothing_is_left_alone(light: np.ndarray, why: str) -> None:
    image = picture(np.ascontiguousarray(light))
    found = analysed([image])
    assert why in found["note"] and found["confidence"] == 0 and found["vector"] == ZERO
    np.testing.assert_array_equal(repaired(image, found).data.view(np.int32), image.data.view(np.int32))


def test_a_black_frame_in_a_shot_is_passed_over() -> None:
    faded = picture(fade_light(scene(), LOST, MEDIA["print"]))
    with_black = analysed([faded, faded.with_data(np.zeros_like(faded.data))])
    np.testing.assert_allclose(with_black["vector"], analysed([faded])["vector"])
    assert with_black["rests_on"]["frames_untold"] == {"2": "black"}


def test_a_lone_y_is_handed_on_with_a_warning() -> None:
    region = Region.sized(9, 7)
    image = Image(np.random.default_rng(1).random((1, 7, 9)).astype(np.float32), region, ("Y",))
    how, clip = FadeRepairParams(), clip_of([image])
    assert any("no three records" in one for one in NODE.check(how, {"input": clip}, Settings()))
    found = NODE.analyse(how, Shown({"input": [image]}), {"input": clip}, TWO)
    assert found["confidence"] == 0 and repaired(image, found) is image


# --- with something known --------------------------------------------------------------------------------------------


def areas(light: np.ndarray) -> tuple[list[int], list[float]]:
    """Four places of the picture, and what they were."""
    corners, colours = [], []
    for y, x in ((10, 20), (60, 30), (40, 100), (80, 120)):
        corners += [x - 3, y + 4, x - 3 + 5, y + 4 + 5]
        part = np.tensordot(to_working(), light[:, y : y + 5, x : x + 5], 1)
        colours += [float(v) for v in np.median(part.reshape(3, -1), axis=1)]
    return corners, colours


def test_patches_and_a_reference_do_better_than_the_picture_alone() -> None:
    light = scene()
    image = picture(fade_light(light, LOST, MEDIA["print"]))

    def left(found: Mapping[str, Any]) -> float:
        return difference(rec709_of(repaired(image, found)), light)

    corners, colours = areas(light)
    auto = analysed([image])
    patches = analysed([image], estimate="patch", patch=corners, patch_colour=colours)
    exact = analysed([image], [picture(light)], estimate="reference")
    mirrored = analysed([image], [picture(light[:, :, ::-1])], estimate="reference")
    assert left(patches) < 0.6 * left(auto)
    assert left(exact) < 0.3 * left(auto)
    assert left(mirrored) < 0.7 * left(auto)
    assert "pixel on pixel" in exact["note"] and "otherwise" in mirrored["note"]
    assert exact["confidence"] > auto["confidence"] and exact["rests_on"]["doubt"] < auto["rests_on"]["doubt"]


def test_a_neutral_patch_comes_out_neutral_and_skin_like_skin() -> None:
    light = scene()
    light[:, 50:62, 60:72] = 0.3
    light[:, 20:32, 60:72] = np.array([0.40, 0.226, 0.165])[:, None, None]
    image = picture(fade_light(light, LOST, MEDIA["print"]))
    grey, skin = [60 - 3, 50 + 4, 72 - 3, 62 + 4], [60 - 3, 20 + 4, 72 - 3, 32 + 4]
    found = analysed([image], estimate="neutral", patch=grey)
    made = rec709_of(repaired(image, found))[:, 55, 65]
    assert np.ptp(np.log10(made)) < 0.02
    found = analysed([image], estimate="skin", patch=skin)
    red, green, blue = rec709_of(repaired(image, found))[:, 25, 65]
    assert 0.15 < np.log10(red / green) < 0.4 and 0.05 < np.log10(green / blue) < 0.3


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"estimate": "neutral"}, "needs a patch"),
        ({"estimate": "neutral", "patch": [1, 2, 3]}, "needs a patch"),
        ({"estimate": "skin", "patch": [0, 4, 500, 8]}, "does not lie in the picture"),
        ({"estimate": "skin", "patch": [8, 8, 4, 12]}, "does not lie in the picture"),
        ({"estimate": "skin", "patch": [0, 4, 8, 8], "patch_frame": 9}, "not in the clip"),
        ({"estimate": "patch", "patch": [0, 4, 8, 8]}, "as many colours"),
        ({"estimate": "patch", "patch": [0, 4, 8, 8], "patch_colour": [0.1, 0.0, 0.2]}, "as many colours"),
        ({"estimate": "reference"}, "nothing to refer to"),
        ({"estimate": "manual", "leak": [0.1, 0.2]}, "six numbers"),
        ({"estimate": "manual", "leak": [0.1, 0.2, 0, 0, 0, 0.9]}, "six numbers"),
        ({"primaries": "ACEScct"}, "no linear light"),
        ({"primaries": "nonsense"}, "no colour space"),
    ],
)
def test_bad_wishes_are_refused(params: dict[str, Any], words: str) -> None:
    clip = clip_of([picture(scene())])
    with pytest.raises(GraphError, match=words) as caught:
        list(NODE.check(FadeRepairParams(**params), {"input": clip}, Settings()))
    assert caught.value.remedy


def test_a_picture_without_colour_planes_is_refused() -> None:
    region = Region.sized(4, 4)
    with pytest.raises(GraphError, match="no R, G, B or Y"):
        list(NODE.check(FadeRepairParams(), {"input": Clip(1, 1, region, region, channels=("A",))}, Settings()))


def test_a_black_patch_is_refused() -> None:
    image = picture(scene())
    image.data[:3, :20, :20] = 0
    with pytest.raises(RenderError, match="holds no light"):
        analysed([image], estimate="neutral", patch=[0, 6, 8, 12])


def test_warnings_for_what_does_nothing() -> None:
    clip = clip_of([picture(scene())])
    how = FadeRepairParams(share_red=0.5, patch=[1, 2, 3, 4])
    told = list(NODE.check(how, {"input": clip, "reference": clip}, Settings()))
    assert len(told) == 3


def test_an_analysis_of_another_config_is_refused() -> None:
    image = picture(scene())
    with pytest.raises(RenderError, match="other primaries"):
        repaired(image, {"into": np.eye(3).tolist(), "vector": LOST.vector().tolist()})


# --- in a graph ------------------------------------------------------------------------------------------------------


def test_auto_primaries() -> None:
    config = config_for(Settings())
    assert records(config, "auto", "print").space == rec709(config)
    assert records(config, "auto", "negative").space == config.working
    np.testing.assert_allclose(records(config, "auto", "negative").into, np.eye(3), atol=1e-6)


def test_frames_looked_at_are_spread() -> None:
    assert spread(range(5, 8)) == [5, 6, 7]
    chosen = spread(range(1000, 1100))
    assert len(chosen) == 8 and chosen[0] == 1000 and chosen[-1] == 1099 and chosen == sorted(chosen)


def test_a_graph_keeps_the_analysis_and_renders_by_it(tmp_path: Path) -> None:
    document = tmp_path / "shot.toml"
    document.write_text(
        """safelight = 1
[nodes.plate]
type = "Plate"
width = 96
height = 64
frames = 4
[nodes.faded]
type = "FadeRepair"
input = "plate"
estimate = "manual"
share_red = 2.2
share_blue = 1.5
stain_blue = -0.2
[nodes.back]
type = "FadeRepair"
input = "faded"
leave_unfaded = false
""",
        encoding="utf-8",
    )
    graph = Graph.from_document(load_document(document))
    first = dict(pull(graph, "back", device=TWO))
    kept = tmp_path / "shot.safelight" / "back.analysis.json"
    assert kept.is_file() and not (tmp_path / "shot.safelight" / "faded.analysis.json").exists()
    stamp = kept.stat().st_mtime_ns
    again = dict(pull(Graph.from_document(load_document(document)), "back", device=Device("cpu", 1), tile=32))
    assert kept.stat().st_mtime_ns == stamp
    for frame, image in first.items():
        np.testing.assert_array_equal(image.data, again[frame].data)


# --- the nets --------------------------------------------------------------------------------------------------------


def test_a_stage_is_rectified_sums_of_held_figures() -> None:
    rng = np.random.default_rng(3)
    weights = tuple(rng.normal(size=(2, a, b)) for a, b in ((6, 5), (5, 5), (5, 17)))
    biases = tuple(rng.normal(size=(2, 1, b)) for b in (5, 5, 17))
    stage = Stage(rng.normal(size=4), np.full(4, 0.1), weights, biases)
    figures, start = rng.normal(size=4), rng.normal(size=2)
    for net, answer in enumerate(stage.answers(figures, start)):
        row = [max(-4.0, min(4.0, (f - m) / 0.1)) for f, m in zip(figures, stage.mean, strict=True)] + list(start)
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            sums = [
                sum(row[i] * weight[net, i, o] for i in range(len(row))) + bias[net, 0, o] for o in range(bias.shape[2])
            ]
            row = sums if layer == 2 else [max(0.0, one) for one in sums]
        np.testing.assert_allclose(answer, row, atol=1e-12)


@pytest.mark.parametrize("medium", MEDIA)
def test_the_numbers_kept_are_few_and_whole(medium: str) -> None:
    assert (NUMBERS / f"{medium}.npz").stat().st_size <= 500_000
    known = estimator(medium)
    told = known.told(np.random.default_rng(1).uniform(0, 2, (3, 5, 7)))
    assert np.isfinite(told.vector).all() and told.left >= 0 and 0 <= told.faded <= 1
    assert (told.vector[known.unit == 0] == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 2), (40, 60)])
def test_figures_of_odd_sizes_are_finite(shape: tuple[int, int]) -> None:
    density = np.random.default_rng(2).uniform(-9, 12, (3, *shape))
    assert np.isfinite(statistics(density)).all() and statistics(density).shape == statistics(np.zeros((3, 1, 1))).shape


def test_what_is_fitted_is_the_repair_of_the_model() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    fades = [fade for fade in (drawn(rng, "print")[1] for _ in range(20)) if fade is not None]
    density = rng.uniform(-0.8, 4, (len(fades), 3, 40))
    made = torch_repaired(torch.tensor(np.array(fades)).float(), torch.tensor(density).float()).numpy()
    for one, vector, d in zip(made, fades, density, strict=True):
        np.testing.assert_allclose(one, Fade.of(vector).repaired(d), atol=2e-5)
