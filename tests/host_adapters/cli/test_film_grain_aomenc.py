"""The whole way of a film-grain table: a grained plate is measured, its clean twin encoded with the table by aomenc and
decoded by aomdec, and the decoder's grain held against the plate's. Skipped where Debian's aom-tools are not installed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from safelight.nodes.grain.film_grain_table import parse_table
from tests.host_adapters.cli.conftest import Safelight
from tests.nodes.grain.av1_synthesis import add_grain

pytestmark = pytest.mark.skipif(not (shutil.which("aomenc") and shutil.which("aomdec")), reason="needs aom-tools")

VIEW = "Rec.1886 Rec.709 - Display/ACES 2.0 - SDR 100 nits (Rec.709)"
WIDTH, HEIGHT, FRAMES, SIZE = 352, 288, 6, 352 * 288
STEP = 3381  # what aomenc adds to the seed from frame to frame

DOCUMENT = """safelight = 1
[nodes.plate]
type = "Plate"
width = {width}
height = {height}
frames = {frames}
cut = false
first = 1
[nodes.grained]
type = "Regrain"
input = "plate"
stock = "500T"
pitch = 6.0
[nodes.scan]
type = "Write"
input = "grained"
path = "scan/f.####.{suffix}"
datatype = "uint{depth}"
colourspace = "{view}"
[nodes.clean]
type = "Write"
input = "plate"
path = "clean/f.####.tif"
datatype = "uint16"
colourspace = "{view}"
"""


def y_cb_cr(path: Path, depth: int) -> list[np.ndarray]:
    """Read R'G'B' and return BT.709 code values, 4:2:0."""
    source = OpenImageIO.ImageInput.open(str(path))
    red, green, blue = np.moveaxis(source.read_image(OpenImageIO.FLOAT)[..., :3].astype(np.float64), -1, 0)
    source.close()
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    k = 1 << (depth - 8)
    chroma = [(blue - y) / 1.8556, (red - y) / 1.5748]
    half = [plane.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean((1, 3)) for plane in chroma]
    return [np.rint(k * (16 + 219 * y)).astype(int), *(np.rint(k * (128 + 224 * plane)).astype(int) for plane in half)]


def coded(clip: list[list[np.ndarray]], table: Path, depth: int) -> tuple[Any, Any]:
    """Encode with the table; return the frames decoded with and without grain."""
    kind = "<u2" if depth > 8 else "u1"
    head = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F24:1 Ip C420{'p10' if depth > 8 else ''}\n".encode()
    body = b"".join(b"FRAME\n" + b"".join(plane.astype(kind).tobytes() for plane in frame) for frame in clip)
    folder = table.parent
    (folder / "clean.y4m").write_bytes(head + body)
    deep = ["--bit-depth=10", "--input-bit-depth=10"] if depth > 8 else []
    subprocess.run(
        ["aomenc", "--cpu-used=8", "--threads=2", "--lag-in-frames=0", "--end-usage=q", "--cq-level=4", *deep, "--ivf",
         f"--film-grain-table={table}", "-o", "film.ivf", "clean.y4m"], cwd=folder, check=True, capture_output=True,
    )  # fmt: skip

    def decoded(*options: str) -> list[list[np.ndarray]]:
        subprocess.run(
            ["aomdec", *options, "--rawvideo", "-o", "film.yuv", "film.ivf"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        frames = np.fromfile(folder / "film.yuv", kind).astype(int).reshape(len(clip), -1)
        ends = (SIZE, SIZE * 5 // 4)
        shapes = ((HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2))
        return [[part.reshape(shape) for part, shape in zip(np.split(f, ends), shapes, strict=True)] for f in frames]

    return decoded(), decoded("--skip-film-grain")


def rings(grain: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the power of (n, H, W) in ten rings of frequency, in blocks of 16 that lie where it was measured."""
    shape = (len(grain), HEIGHT // 16, 16, WIDTH // 16, 16)
    blocks = grain.reshape(shape).transpose(0, 1, 3, 2, 4)[where.reshape(shape).all((2, 4))]
    power = (np.abs(np.fft.fft2(blocks)) ** 2).mean(0)
    f = np.fft.fftfreq(16)
    radius = np.hypot(f[:, None], f[None])
    return np.array([power[(radius > i * 0.05) & (radius <= (i + 1) * 0.05)].mean() for i in range(1, 10)])


@pytest.mark.parametrize(("depth", "suffix"), [(8, "png"), (10, "dpx")])
def test_the_decoded_grain_is_the_plates(safelight: Safelight, tmp_path: Path, depth: int, suffix: str) -> None:
    text = DOCUMENT.format(width=WIDTH, height=HEIGHT, frames=FRAMES, suffix=suffix, depth=depth, view=VIEW)
    (tmp_path / "g.toml").write_text(text)
    for folder in ("scan", "clean"):
        (tmp_path / folder).mkdir()
    done = safelight("render", "g.toml")
    assert done.returncode == 0, done.stderr
    done = safelight(
        "analyse", f"scan/f.####.{suffix}", "--colourspace", VIEW, "--delivery", VIEW, "--film-grain-table", "g.tbl"
    )
    assert done.returncode == 0, done.stderr
    (segment,) = parse_table((tmp_path / "g.tbl").read_text())
    assert segment.grain is not None

    plate = [y_cb_cr(tmp_path / "scan" / f"f.{n:04d}.{suffix}", depth) for n in range(1, FRAMES + 1)]
    clean = [y_cb_cr(tmp_path / "clean" / f"f.{n:04d}.tif", depth) for n in range(1, FRAMES + 1)]
    grained, bare = coded(clean, tmp_path / "g.tbl", depth)
    for n in (0, FRAMES - 1):
        made = add_grain(bare[n], segment.grain, (segment.seed + STEP * n) % 65536, depth)
        for mine, theirs in zip(made, grained[n], strict=True):
            np.testing.assert_array_equal(mine, theirs)

    k = 1 << (depth - 8)
    luma = np.stack([frame[0] for frame in clean]) / k
    for plane, name in enumerate(("Y", "Cb", "Cr")):
        level = luma if not plane else luma.reshape(FRAMES, HEIGHT // 2, 2, WIDTH // 2, 2).mean((2, 4))
        wanted = np.stack([p[plane] - c[plane] for p, c in zip(plate, clean, strict=True)]) / k
        found = np.stack([g[plane] - b[plane] for g, b in zip(grained, bare, strict=True)]) / k
        ratios = {}
        for low in range(40, 184, 24):
            here = (level >= low) & (level < low + 24)
            ratios[low] = round(float(found[here].var() / wanted[here].var()), 3)
        print(f"{depth} bit {name}, variance over the plate's by luma code: {ratios}")
        # Luma decides what is seen. One chroma noise for all colours of a luma is the standard's limit.
        allowed = 0.2 if not plane else 0.3
        assert all(abs(ratio - 1) < allowed for ratio in ratios.values()), (name, ratios)
        assert sum(abs(ratio - 1) < 0.2 for ratio in ratios.values()) >= len(ratios) - 1, (name, ratios)
        inside = (level >= 40) & (level < 184)
        assert found[inside].var() / wanted[inside].var() == pytest.approx(1, abs=0.2), name
        if not plane:
            power = rings(found, inside) / rings(wanted, inside)
            print(f"{depth} bit Y, power over the plate's in nine rings: {power.round(3).tolist()}")
            assert np.abs(power - 1).max() < 0.25 and np.abs(power - 1).mean() < 0.12, power
