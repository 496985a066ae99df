"""The main job from end to end, on the real nodes.

One picture whatever the chunk, the tile, the thread count, and after a kill; real scans and stills through Degrain
and Regrain with all that their files say.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document, load_document
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.render import pull, render

CHAIN = """
safelight = 1
[shot]
cuts = [1006]
[nodes.plate]
type = "Plate"
width = 150
height = 90
frames = 10
[nodes.film]
type = "Regrain"
input = "plate"
[nodes.clean]
type = "Degrain"
input = "film"
[nodes.again]
type = "Regrain"
input = "clean"
stock = "50D"
seed = 7
[nodes.both]
type = "Mix"
inputs = {a = "again", b = "film", matte = "clean.grain"}
[nodes.out]
type = "Write"
input = "both"
path = "out.####.exr"
datatype = "float"
"""


def write_document(folder: Path, text: str = CHAIN) -> Path:
    path = folder / "chain.toml"
    path.write_text(text)
    return path


def pictures(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(folder.glob("*.exr")):
        pixels = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)
        found[path.name] = pixels.tobytes()
    return found


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("reference")
    render(Graph.from_document(load_document(write_document(folder))), device=Device("cpu", 1))
    made = pictures(folder)
    assert len(made) == 10 and len(set(made.values())) == 10
    return made


@pytest.mark.parametrize(
    ("chunk", "tile", "threads"),
    [(1, 0, 2), (7, 0, 2), (0, 0, 2), (0, 0, 4), (0, 32, 1), (7, 41, 4), (1, 64, 2)],
)
def test_one_picture(tmp_path: Path, reference: dict[str, bytes], chunk: int, tile: int, threads: int) -> None:
    graph = Graph.from_document(load_document(write_document(tmp_path)))
    render(graph, device=Device("cpu", threads), chunk=chunk, tile=tile)
    assert pictures(tmp_path) == reference


def test_one_picture_after_kill_nine_and_resume(tmp_path: Path, reference: dict[str, bytes]) -> None:
    command = [sys.executable, "-m", "safelight.host_adapters.cli.main", "render", str(write_document(tmp_path))]
    command += ["--device", "cpu", "--threads", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("out.*.exr"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    whole = {name: pixels for name, pixels in pictures(tmp_path).items() if not name.startswith(".")}
    assert whole.items() <= reference.items(), "what has a frame's name is whole"
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pictures(tmp_path) == reference
    assert not [path for path in tmp_path.iterdir() if "tmp" in path.name], "nothing of the killed render stays"


def test_a_plate_kept_by_every_node_is_bit_identical(tmp_path: Path) -> None:
    text = CHAIN.replace('input = "film"\n[nodes.again]', 'input = "film"\nstrength = 0\n[nodes.again]')
    text = text.replace('stock = "50D"', 'stock = "50D"\nstrength = 0').replace('"clean.grain"', '"plate"')
    text = text.replace("[nodes.film]\n", "[nodes.film]\nstrength = 0\n").replace('b = "film"', 'b = "plate"')
    graph = Graph.from_document(Document.parse(text, tmp_path))
    for (_, a), (_, b) in zip(pull(graph, "both", frames=[1003]), pull(graph, "plate", frames=[1003]), strict=True):
        np.testing.assert_array_equal(a.data.view(np.int32), b.data.view(np.int32))


STILL = """
safelight = 1
[nodes.scan]
type = "Read"
path = "{source}"
[nodes.clean]
type = "Degrain"
input = "scan"
[nodes.stock]
type = "Regrain"
input = "clean"
stock = "250D"
[nodes.out]
type = "Write"
input = "stock"
path = "out.exr"
[nodes.copy]
type = "Write"
input = "scan"
path = "copy.exr"
"""

CHANGED_BY_WRITING = {"DateTime", "Software", "compression"}


def still(data: Path, folder: Path, name: str) -> tuple[Path, Image, Image]:
    """Render a still; return the source and its first and last picture as the graph sees them."""
    source = data / "images" / name
    path = write_document(folder, STILL.format(source=source))
    assert render(Graph.from_document(load_document(path)), device=Device("cpu", 2)).rendered == 2
    graph = Graph.from_document(load_document(path))
    frame = graph.clip("scan").first
    (_, before), (_, after) = next(pull(graph, "scan", frames=[frame])), next(pull(graph, "stock", frames=[frame]))
    return source, before, after


STILLS = (
    *("ilm_cannon", "ilm_carrots_ap0", "ilm_crissyfield_from_yc", "ilm_desk", "ilm_goldengate_tiled", "ilm_stilllife"),
    *("ilm_tree_chromaticities", "polyhaven_forest_slope_latlong", "polyhaven_kiara_1_dawn_latlong"),
    *("polyhaven_potsdamer_platz_latlong", "polyhaven_studio_small_03_latlong"),
)


@pytest.mark.parametrize("name", STILLS)
def test_scene_linear_stills_survive(data: Path, tmp_path: Path, name: str) -> None:
    source, before, after = still(data, tmp_path, f"exr/{name}.exr")
    had, copied, made = (oiio.ImageBuf(str(path)) for path in (source, tmp_path / "copy.exr", tmp_path / "out.exr"))
    for buffer in (copied, made):
        spec, model = buffer.spec(), had.spec()
        assert buffer.roi == had.roi and buffer.roi_full == had.roi_full
        assert spec.channelnames == model.channelnames
        kept = {attribute.name: attribute.value for attribute in spec.extra_attribs}
        for attribute in model.extra_attribs:
            if attribute.name not in CHANGED_BY_WRITING and not attribute.name.startswith(
                ("openexr:", "oiio:", "thumbnail")
            ):
                assert kept.get(attribute.name) == attribute.value, attribute.name
    np.testing.assert_array_equal(  # a bare Read -> Write of half EXR keeps every bit
        copied.get_pixels(oiio.HALF).view(np.uint16), had.get_pixels(oiio.HALF).view(np.uint16)
    )
    for index, channel in enumerate(before.channels):
        if channel not in ("R", "G", "B"):
            np.testing.assert_array_equal(after.data[index], before.data[index])
    # Values above 1 and below 0 are neither clamped nor lost: they move by grain alone.
    bright = before.data[:3] > np.maximum(1, np.quantile(before.data[:3], 0.999))
    if bright.any():
        assert after.data[:3].max() > 0.7 * before.data[:3].max()
        # The brightest pixels of a lone still are its glints and its own grain's peaks: some of both is taken.
        np.testing.assert_allclose(after.data[:3][bright].mean(), before.data[:3][bright].mean(), rtol=0.08)
    assert np.isfinite(after.data).all() == np.isfinite(before.data).all()
    if (before.data[:3] < -1e-3).any():
        assert (after.data[:3] < 0).any()


def test_a_film_scan_becomes_exr(data: Path, tmp_path: Path) -> None:
    _, before, after = still(data, tmp_path, "dpx/desk_cineonlog_10bit.dpx")
    made = oiio.ImageBuf(str(tmp_path / "out.exr"))
    assert made.spec().format == oiio.HALF and made.get_pixels(oiio.FLOAT).shape == (540, 644, 3)
    assert before.data.max() > 5, "the film log's highlights are scene-linear light above 1"
    assert after.data.max() > 0.7 * before.data.max()
    error = np.log2(np.maximum(after.data, 1e-3)) - np.log2(np.maximum(before.data, 1e-3))
    assert abs(float(np.median(error))) < 0.05
