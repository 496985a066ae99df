"""Where Degrain's knowledge of the noise comes from: patch, profile and stock agree, and bad ones are refused."""

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
from safelight.graph.image import Clip
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.graph.signature import Signatures
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.knowledge import noise_of_profile
from safelight.nodes.grain.noise import Noise
from safelight.nodes.grain.profile import Profile, save_profile
from safelight.nodes.grain.stock import load_stock

from .test_analyse import Heard, analysed
from .test_degrain import SIGMA, degrain, error, pictures
from .test_profile import profile as one_channel

RGB = ("R", "G", "B")
STOCK = load_stock("500T")


def document(more: str, folder: Path = Path(), width: int = 320, height: int = 180) -> Graph:
    """The built-in Plate on 500T, 12 µm, and nodes after it; everything on frame 1 to 3."""
    text = f"""safelight = 1
[nodes.plate]
type = "Plate"
width = {width}
height = {height}
frames = 3
first = 1
[nodes.film]
type = "Regrain"
pitch = 12
input = "plate"
{more}"""
    return Graph.from_document(Document.parse(text, folder))


def check(clip: Clip | None = None, **settings: Any) -> list[str]:
    """Return Degrain's warnings on a clip of 640 x 360."""
    window = Region.sized(640, 360)
    clip = clip or Clip(1, 9, window, window)
    return list(Degrain().check(DegrainParams(**settings), {"input": clip}, Settings()))


@pytest.fixture(scope="module")
def film() -> tuple[Profile, np.ndarray]:
    """The profile of 500T at 12 µm on ramps of every level, measured in density; and one frame."""
    graph = document("", width=960)
    frames = np.stack([image.data for _, image in pull(graph, "film", device=Device("cpu", 2))])
    return analysed(frames, stock="500T", pitch=12.0), frames[0]


def test_a_profile_says_what_the_stock_says(film: tuple[Profile, np.ndarray]) -> None:
    profile, frame = film
    code = coding("density", STOCK.curves)
    truth, found = Noise.of_stock(STOCK, (0, 1, 2), 12.0, code), noise_of_profile(profile, RGB, code)
    for c in range(3):
        levels = np.percentile(code.encode(frame)[c], np.linspace(10, 90, 9))
        one = np.interp(levels, np.linspace(truth.low, truth.high, truth.sigma.shape[1]), truth.sigma[c])
        other = np.interp(levels, np.linspace(found.low, found.high, found.sigma.shape[1]), found.sigma[c])
        assert other == pytest.approx(one, rel=0.15)
    # Opponent channels mix layers of unequal sigma: of_stock weighs them alike.
    np.testing.assert_allclose(found.spectrum[0, 2:, 2:], truth.spectrum[0, 2:, 2:], rtol=0.2)
    np.testing.assert_allclose(found.spectrum.mean((1, 2)), 1, atol=0.15)


def test_a_profile_in_another_domain_is_the_same_noise(film: tuple[Profile, np.ndarray]) -> None:
    profile, frame = film
    light = np.percentile(frame, np.linspace(10, 90, 9), axis=(1, 2)).T
    values = []
    for code in (coding("density", STOCK.curves), coding("log"), coding("linear")):
        noise = noise_of_profile(profile, RGB, code)
        at = code.encode(light)
        sigma = np.stack([np.interp(at[c], np.linspace(noise.low, noise.high, 64), noise.sigma[c]) for c in range(3)])
        # Back to plate values, through the slope of the coding.
        values.append(sigma * (code.decode(at + 1e-3) - code.decode(at - 1e-3)) / 2e-3)
    np.testing.assert_allclose(values[1], values[0], rtol=0.12)


def test_correlated_channels_show_in_the_opponent_spectra() -> None:
    data = one_channel().as_data()
    data["channels"] = dict.fromkeys("RGB", data["channels"]["Y"])
    data["correlation"] = [[1, 0.9, 0.9], [0.9, 1, 0.9], [0.9, 0.9, 1]]
    noise = noise_of_profile(Profile.model_validate(data), ("B", "G", "R"), coding("log"))
    assert noise.spectrum.mean((1, 2)) == pytest.approx([2.8, 0.1, 0.1], rel=0.02)
    assert noise.low == pytest.approx(coding("log").encode([-0.001])[0], abs=1e-6)
    one = noise_of_profile(Profile.model_validate(data), ("G",), coding("log"))
    assert one.spectrum.shape == (1, 8, 8) and one.spectrum[0, 0, 0] > 10 * one.spectrum[0, 7, 7] > 0


def half_even() -> tuple[np.ndarray, np.ndarray]:
    """Four frames of a ramp, its lower half textured, clean and with white noise."""
    rng = np.random.default_rng(1)
    clean = np.repeat(np.linspace(0.1, 0.8, 176)[None, None, None], 120, axis=2) + np.zeros((4, 3, 1, 1))
    clean[:, :, 60:] += 0.05 * rng.standard_normal((60, 176))
    return clean, clean + SIGMA * rng.standard_normal(clean.shape)


def test_a_profile_takes_as_much_as_the_truth_says(tmp_path: Path) -> None:
    clean, noisy = half_even()
    path = tmp_path / "p.json"
    save_profile(analysed(noisy, domain="linear"), path)
    images = pictures(noisy)
    image, grain = degrain(images, 2, noise="profile", profile=str(path), domain="auto")
    assert error(image, clean[2]) < 1.05 * error(degrain(images, 2)[0], clean[2])
    np.testing.assert_allclose(image.data + grain.data, images[2].data, atol=1e-7)


@pytest.mark.parametrize("settings", [{}, {"patch_frame": 2}])
def test_a_patch_takes_as_much_as_the_truth_says(settings: dict[str, Any]) -> None:
    clean, noisy = half_even()
    images = pictures(noisy)
    region = images[0].region
    patch = [region.x0, region.y0, region.x0 + 96, region.y0 + 48]
    image, _ = degrain(images, 1, noise="patch", patch=patch, **settings)
    assert error(image, clean[1]) < 1.05 * error(degrain(images, 1)[0], clean[1])


def test_a_patch_in_density_has_the_curve_of_its_stock() -> None:
    more = (
        '[nodes.out]\ntype = "Degrain"\ninput = "film"\nnoise = "patch"\npatch = [180, 8, 276, 56]\ndomain = "density"'
    )
    graph, heard = document(more, width=640, height=360), Heard()
    list(pull(graph, "out", frames=[2], device=Device("cpu", 2), progress=heard))
    (said,) = heard.notes
    assert "sigma in the patch 96x48+180+8, frame 1, +2." in said and "density. One level was measured" in said
    assert "at every other level what the granularity of 500T makes of it" in said
    node, params = graph.nodes["out"], graph.params["out"]
    (request,) = node.analysis_requests(params, graph.input_clips("out"))
    assert request.frame == 1 and request.region == Region(180, 8, 276, 56)
    (image,) = (image for _, image in pull(graph, "film", frames=[1]))
    data = node.analyse(params, [(1, image.crop(request.region))], graph.input_clips("out"), Device("cpu", 1))
    found = Noise.from_data(data["noise"])
    truth = Noise.of_stock(STOCK, (0, 1, 2), 12.0, coding("density", STOCK.curves))
    at = np.linspace(0.2, 2.0, 20)
    for c in range(3):
        one = np.interp(at, np.linspace(0, 3.5, truth.sigma.shape[1]), truth.sigma[c])
        other = np.interp(at, np.linspace(found.low, found.high, found.sigma.shape[1]), found.sigma[c])
        assert other == pytest.approx(one, rel=0.15)


def test_another_patch_is_measured_again_and_other_parameters_are_not() -> None:
    node = Degrain()
    one = DegrainParams(noise="patch", patch=[0, 0, 64, 64])
    keys = [
        node.analysis_params(one.model_copy(update=change))
        for change in ({}, {"strength": 0.5}, {"patch": [0, 0, 64, 80]}, {"patch_frame": 3}, {"domain": "density"})
    ]
    assert keys[0] == keys[1] and all(keys[0] != key for key in keys[2:])
    assert node.wants_analysis(one) and not node.wants_analysis(DegrainParams(noise="profile", profile="p.json"))


def test_a_patch_without_noise_takes_nothing() -> None:
    plate = np.broadcast_to(np.linspace(0.2, 0.4, 96), (1, 3, 64, 96))
    images = pictures(plate)
    image, grain = degrain(images, 0, noise="patch", patch=[3, -2, 67, 46])
    np.testing.assert_array_equal(image.data, images[0].data)
    assert not grain.data.any()


def test_an_unusable_patch_is_one_clear_error() -> None:
    plate = np.random.default_rng(1).normal(0.5, 0.02, (1, 3, 64, 96))
    plate[..., :50] = 1
    with pytest.raises(SafelightError) as caught:
        degrain(pictures(plate), 0, noise="patch", patch=[3, -2, 67, 46])
    said = "of the 12 areas of 16 x 16 pixels in the patch, 0 are neither clipped nor empty"
    assert said in str(caught.value) and "frame 0" in str(caught.value)
    assert "patch_frame" in caught.value.remedy


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"noise": "patch"}, "noise = 'patch', and no patch is drawn"),
        ({"noise": "patch", "patch": [0, 0, 700, 64]}, "does not lie in the picture"),
        ({"noise": "patch", "patch": [0, 0, 32, 32]}, "the patch of 32 x 32 pixels is too small"),
        ({"noise": "patch", "patch": [0, 0, 64, 64], "patch_frame": 10}, "runs from 1 to 9"),
        ({"noise": "patch", "patch": [0, 0, 64, 64], "domain": "density", "stock": "X"}, "no film stock"),
        ({"noise": "profile"}, "noise = 'profile', and no profile is named"),
        ({"noise": "profile", "profile": "/no/such.json"}, "the grain profile cannot be read"),
        ({"noise": "stock", "domain": "log"}, "noise = 'stock' is known in density"),
    ],
)
def test_bad_parameters_are_refused_before_rendering(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(GraphError, match=says) as caught:
        check(**settings)
    assert caught.value.remedy
    assert check(**settings, strength=0) == []  # nothing is taken: nothing need be known


def test_profiles_that_do_not_fit_are_told(tmp_path: Path) -> None:
    path = tmp_path / "y.json"
    save_profile(one_channel(), path)
    with pytest.raises(GraphError) as caught:
        check(noise="profile", profile=str(path))
    assert "the profile knows Y and nothing of the plate's R, G, B" in str(caught.value)
    assert str(path) in str(caught.value) and "safelight analyse" in caught.value.remedy
    window = Region.sized(640, 360)
    (said,) = check(Clip(1, 9, window, window, channels=("Y",)), noise="profile", profile=str(path))
    assert "of a plate 64 pixels wide and this one has 640" in said
    data = one_channel().as_data()
    data["channels"]["Y"] |= {"curve": [], "spectrum": [], "autocorrelation": []}
    path.write_text(json.dumps(data))
    clip = Clip(1, 9, window, window, channels=("Y",))
    assert "no grain: nothing will be taken" in check(clip, noise="profile", profile=str(path))[0]
    plate = pictures(np.random.default_rng(1).random((1, 1, 40, 40)), ("Y",))
    assert degrain(plate, 0, noise="profile", profile=str(path))[0].data is plate[0].data


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON text"),
        ('{"safelight_grain": 2}', "the grain profile is of format 2; this Safelight reads 1"),
        ('{"safelight_grain": 1}', "the grain profile is broken at note"),
        ('{"key": 3}', "this is no grain profile"),
    ],
)
def test_broken_and_newer_profiles_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(GraphError) as caught:
        check(noise="profile", profile=str(path))
    assert says in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_profile_beside_the_document_is_found_and_signs_the_picture(tmp_path: Path) -> None:
    found = one_channel().as_data()
    found["channels"] = dict.fromkeys("RGB", found["channels"]["Y"])
    found["correlation"] = np.eye(3).tolist()
    path = tmp_path / "grain.json"
    more = '[nodes.out]\ntype = "Degrain"\ninput = "film"\nnoise = "profile"\nprofile = "grain.json"\nradius = 0'

    def made(change: float) -> tuple[str, np.ndarray]:
        found["channels"]["R"]["curve"][1]["sigma"] = change
        path.write_text(json.dumps(found))
        graph = document(more, tmp_path)
        ((_, image),) = pull(graph, "out", frames=[2], device=Device("cpu", 2))
        return Signatures(graph).of("out", "image", 2), image.data

    (first, picture), (other, moved), (again, same) = made(0.2), made(0.3), made(0.2)
    assert first == again != other
    np.testing.assert_array_equal(picture, same)
    assert not np.array_equal(picture, moved)
    path.unlink()
    with pytest.raises(GraphError, match="cannot be read"):
        Signatures(document(more, tmp_path)).of("out", "image", 2)


def test_a_profile_in_any_order_of_channels(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    _, noisy = half_even()
    noisy[:, 0] += np.random.default_rng(2).normal(0, 2 * SIGMA, noisy[:, 0].shape)
    save_profile(analysed(noisy, domain="linear"), path)
    given: dict[str, Any] = {"noise": "profile", "profile": str(path), "radius": 0}
    straight, _ = degrain(pictures(noisy), 2, **given)
    turned, _ = degrain(pictures(noisy[:, ::-1], ("B", "G", "R")), 2, **given)
    assert np.abs(straight.data - turned.data[::-1]).max() < 0.1 * SIGMA
