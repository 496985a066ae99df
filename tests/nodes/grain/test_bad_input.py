"""What a person reads, and gets, where a plate cannot be degrained or measured as it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.grain.analyse import GrainAnalyse
from safelight.nodes.grain.degrain import Degrain, DegrainParams

from .scene import moving_scene
from .test_analyse import analysed
from .test_degrain import degrain, pictures
from .test_doubts import compressed, note
from .test_knowledge import check

RNG = np.random.default_rng(11)
EVEN = np.broadcast_to(np.linspace(0.2, 0.5, 160), (2, 3, 96, 160))


def unchanged(frames: np.ndarray) -> None:
    """Hold that Degrain by itself hands on the plate's bits, and nothing as grain."""
    images = pictures(frames)
    image, grain = degrain(images, 1, noise="auto", domain="log")
    assert image.data is images[1].data and not grain.data.any()


def test_a_plate_without_grain() -> None:
    assert note(EVEN, "log") == "no noise found: nothing will be taken"
    assert analysed(EVEN).note == "no grain found"
    unchanged(EVEN)


def test_five_usable_blocks() -> None:
    noisy = 0.3 + 0.02 * RNG.standard_normal((2, 3, 8, 40))
    noisy[1] = np.nan
    said = note(noisy, "log")
    assert said == (
        "no noise found: nothing will be taken. "
        "Careful: only 5 usable blocks of 8 × 8 pixels: 24 are needed to measure noise"
    )
    unchanged(noisy[::-1])
    with pytest.raises(RenderError) as caught:
        analysed(0.3 + 0.02 * RNG.standard_normal((1, 3, 16, 80)))
    assert str(caught.value) == (
        "only 5 areas of 16 x 16 pixels are neither clipped nor empty: grain is not measured on fewer than 6. "
        "Give a larger or less clipped plate."
    )


def test_a_clipped_plate() -> None:
    noisy = EVEN + 0.02 * RNG.standard_normal(EVEN.shape)
    noisy[..., :60] = 1.0
    said = "38% of the pixels lie at the plate's largest value (clipped): nothing was measured there"
    assert said in note(noisy, "log") and said in analysed(noisy).note
    image, grain = degrain(pictures(noisy), 1, noise="auto", domain="log")
    assert grain.data[:, 8:-8, 70:].std() > 0.015
    # Low frequencies are cleaned in patches of up to 64 pixels: of the noise beside it a trace reaches here.
    np.testing.assert_allclose(image.data[:, :, :50], 1, atol=1e-3)


def test_a_compressed_plate() -> None:
    scene = moving_scene(4, 160, 240).transpose(0, 3, 1, 2) / 255
    squeezed = compressed(0.3 + 0.25 * scene + RNG.normal(0, 3 / 255, scene.shape), 12)
    for said in (note(squeezed, "log"), analysed(squeezed).note):
        assert "Careful: in the calmest fifth" in said
        assert "a codec's spectrum, or a drawn picture's, and no grain's" in said


def test_a_plate_that_raises_no_doubt() -> None:
    noisy = EVEN + 0.02 * RNG.standard_normal(EVEN.shape)
    assert "Careful" not in note(np.repeat(noisy, 2, axis=0), "log") + analysed(noisy).note


def test_a_clip_shorter_than_the_window() -> None:
    window = Region.sized(64, 48)
    (said,) = check(Clip(1, 2, window, window), radius=2)
    assert said == "frames in the clip: 2, fewer than radius 2 asks for"
    noisy = EVEN + 0.02 * RNG.standard_normal(EVEN.shape)
    short, _ = degrain(pictures(noisy), 0, radius=4)
    near, _ = degrain(pictures(noisy), 0, radius=1)
    np.testing.assert_array_equal(short.data, near.data)
    alone, _ = degrain({0: pictures(noisy)[0]}, 0, radius=4)
    still, _ = degrain(pictures(noisy), 0, radius=0)
    np.testing.assert_array_equal(alone.data, still.data)


def test_a_cut_in_every_frame() -> None:
    text = """{shot}
[nodes.plate]
type = "Plate"
width = 96
height = 64
frames = 4
first = 1
[nodes.film]
type = "Regrain"
input = "plate"
[nodes.out]
type = "Degrain"
noise = "stock"
radius = {radius}
input = "film"
"""

    def made(shot: str, radius: int) -> np.ndarray:
        document = Document.parse("safelight = 1\n" + text.format(shot=shot, radius=radius), Path())
        frames = pull(Graph.from_document(document), "out", device=Device("cpu", 2))
        return np.stack([image.data for _, image in frames])

    cut, alone = made("[shot]\ncuts = [1, 2, 3, 4]", 2), made("", 0)
    np.testing.assert_array_equal(cut, alone)
    assert not np.array_equal(made("", 2), alone)


def test_a_matte_of_another_size() -> None:
    plate, other = Region.sized(64, 48), Region.sized(64, 40)
    clips = {"input": Clip(1, 9, plate, plate), "matte": Clip(1, 9, other, other, channels=("A",))}
    with pytest.raises(GraphError) as caught:
        list(Degrain().check(DegrainParams(), clips, Settings()))
    assert str(caught.value) == (
        "input 'matte': the matte is 64x40+0+0 and the plate is 64x48+0+0. Bring the matte to the plate's size."
    )


@pytest.mark.parametrize("node", [Degrain(), GrainAnalyse()], ids=["Degrain", "GrainAnalyse"])
def test_a_clip_without_a_picture(node: Degrain | GrainAnalyse) -> None:
    window = Region.sized(64, 48)
    with pytest.raises(GraphError) as caught:
        list(node.check(node.Params(), {"input": Clip(1, 9, window, window, channels=("A", "Z"))}, Settings()))
    assert "there is no R, G, B or Y among the channels A, Z" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"safelight_grain": 1, "no', "the grain profile is no JSON text"),
        ('{"safelight_grain": 7}', "the grain profile is of format 7; this Safelight reads 1. Update Safelight"),
        ('{"safelight_grain": 1, "note": ""}', "the grain profile is broken at domain"),
        ("[]", "this is no grain profile. Measure the plate again with 'safelight analyse'."),
    ],
)
def test_profiles_that_are_broken_or_newer(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "plate.json"
    path.write_text(text)
    with pytest.raises(GraphError) as caught:
        check(noise="profile", profile=str(path))
    assert says in str(caught.value).replace(f" ({path})", "") and str(path) in str(caught.value)
