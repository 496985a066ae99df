"""How files land: whole or not at all, on full disks, in folders that may not be written, under killed renders."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from safelight.graph.errors import GraphError, RenderError
from safelight.graph.image import Image
from safelight.nodes.io.files.header import ORIGIN
from safelight.nodes.io.files.landing import _host, remove_stale
from safelight.nodes.io.write import Write


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("name", ["a.exr", "a.dpx", "a.tif", "a.png", "a.jpg"])
def test_a_full_disk(tmp_path, bench, make_picture, make_clip, name):
    with small_disk(tmp_path / "disk", "256k") as disk:
        image = make_picture(900, 700)
        with pytest.raises(RenderError, match=r"frame 1.*the disk is full.*Make room"):
            bench.write(disk / name, make_clip(image), {1: image})
        assert list(disk.iterdir()) == []
    assert image.data.nbytes > 256 << 10


def test_a_full_disk_with_mixed_types_and_movies(tmp_path, bench, make_picture, make_clip):
    with small_disk(tmp_path / "disk", "256k") as disk:
        image = make_picture(600, 400, channels=("R", "G", "B", "Z"))
        image = Image(image.data, image.region, image.channels, {ORIGIN: {"types": {"R": "half", "Z": "float"}}})
        with pytest.raises(RenderError, match="the disk is full"):
            bench.write(disk / "a.exr", make_clip(image), {1: image})
        assert list(disk.iterdir()) == []
        pytest.importorskip("av")
        with pytest.raises(RenderError, match="the disk is full"):
            bench.write(disk / "a.mkv", make_clip(image, 5), dict.fromkeys(range(1, 6), image))
        assert list(disk.iterdir()) == []


def test_little_room_is_said_before(tmp_path, bench, make_picture, make_clip):
    with small_disk(tmp_path / "disk", "1m") as disk:
        image = make_picture(64, 64)
        node = Write()
        params = node.Params(path=disk / "a.####.exr")
        assert list(node.check(params, {"input": make_clip(image, 2)}, bench.settings)) == []
        assert "free" in next(iter(node.check(params, {"input": make_clip(image, 500)}, bench.settings)))


def test_a_read_only_folder(tmp_path, bench, make_picture, make_clip):
    with small_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        image = make_picture()
        with pytest.raises(GraphError, match=r"may not be written|cannot be written"):
            bench.write(disk / "a.exr", make_clip(image), {1: image})


KILLED = """
import sys, numpy as np
from pathlib import Path
from safelight.graph.image import Clip, Image
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.nodes.io.write import Write
image = Image(np.random.default_rng(0).random((3, 1500, 2000), np.float32), Region.sized(2000, 1500))
clip = Clip(1, 1000, image.region, image.region)
node = Write()
params = node.Params(path=Path(sys.argv[1]) / "f.####.exr", compression="piz")
writer = node.writer(params, clip, range(1, 1001), Settings())
print("go", flush=True)
for frame in range(1, 1001):
    writer.write(frame, image)
"""


def test_a_killed_render_leaves_whole_frames_only(tmp_path, bench, make_picture, make_clip):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        deadline = time.monotonic() + 60
        while not (hidden(tmp_path) and (tmp_path / "f.0001.exr").exists()) and time.monotonic() < deadline:
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    frames = sorted(tmp_path.glob("f.*.exr"))
    assert frames
    clip = bench.clip(tmp_path / "f.####.exr")
    for frame in clip.frames:
        assert bench.read(tmp_path / "f.####.exr", frame).data.shape == (3, 1500, 2000)
    image = make_picture()
    bench.write(tmp_path / "g.####.exr", make_clip(image), {1: image})
    assert hidden(tmp_path) == []


def test_only_dead_processes_files_are_removed(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    start = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    live = tmp_path / f".safelight-{_host()}-{os.getpid()}-{start}-00000000-0.exr"
    reused = tmp_path / f".safelight-{_host()}-{os.getpid()}-{start - 1}-00000000-0.exr"
    dead = tmp_path / f".safelight-{_host()}-{child.pid}-5-00000000-0.exr"
    elsewhere = tmp_path / f".safelight-00000000-{child.pid}-5-00000000-0.exr"
    for path in (live, reused, dead, elsewhere):
        path.touch()
    assert sorted(remove_stale(tmp_path)) == sorted([dead, reused])
    assert live.exists() and elsewhere.exists()


LIMITED = """
import resource, sys
import numpy as np
from pathlib import Path
from safelight.graph.errors import RenderError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.nodes.io.write import Write
image = Image(np.random.default_rng(0).random((4, 600, 800), np.float32), Region.sized(800, 600), ("R", "G", "B", "A"),
              {"safelight:file": {"types": {"A": "float"}}})
node = Write()
params = node.Params(path=Path(sys.argv[1]))
clip = Clip(1, 1, image.region, image.region, channels=image.channels)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    writer = node.writer(params, clip, [1], Settings())
    writer.write(1, image)
    writer.close()
except RenderError as error:
    writer.abort()
    print(error)
    sys.exit(7)
"""


@pytest.mark.parametrize("name", ["a.exr", "a.dpx", "a.tif", "a.png", "a.jpg"])
def test_a_disk_that_takes_no_more(tmp_path, name):
    """A limit on the size of files: the encoders' own writes fail in the middle, without any mount."""
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path / name)], capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    assert "frame 1" in done.stdout and name in done.stdout and len(done.stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
