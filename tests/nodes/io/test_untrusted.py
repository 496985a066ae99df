"""The child process for files nobody trusts: limits, crashes, nonsense, and the same pixels."""

import os
import signal
import threading
import time

import numpy as np
import OpenImageIO
import pytest

from safelight.graph.errors import RenderError
from safelight.graph.node import Settings
from safelight.nodes.io.files import sandbox as module
from safelight.nodes.io.files.exr_chunks import check_exr, read_exr
from safelight.nodes.io.files.sandbox import Child, Sandbox


@pytest.fixture
def box():
    made = Sandbox()
    yield made
    made.close()


def test_the_same_pixels_and_header(tmp_path, bench, make_file):
    samples = np.arange(65536, dtype=np.uint16).reshape(128, 512, 1).view(np.float16).repeat(3, 2)
    attributes = {"smpte:TimeCode": (OpenImageIO.TypeDesc("timecode"), (1, 2)), "owner": "Ö"}
    path = make_file(tmp_path / "a.exr", samples, "half", attributes)
    plain, plain_clip = bench.read(path), bench.clip(path)
    bench.settings = Settings(untrusted=True)
    guarded = bench.read(path)
    assert guarded.data.tobytes() == plain.data.tobytes() and guarded.metadata == plain.metadata
    assert bench.clip(path) == plain_clip


def test_a_child_is_used_again_and_ends(tmp_path, box, make_file):
    path = make_file(tmp_path / "a.exr", np.zeros((2, 2, 3), np.float16), "half")
    for _ in range(3):
        box.samples(path, "", ())
    assert len(box._idle) == 1
    process = box._idle[0]._process
    box.close()
    assert process.poll() is not None


def test_it_wants_too_much_memory(tmp_path, make_file, monkeypatch):
    monkeypatch.setenv("SAFELIGHT_UNTRUSTED_MEMORY", "700")
    box = Sandbox()
    path = make_file(tmp_path / "a.exr", np.zeros((8000, 8000, 4), np.float16), "half", {"compression": "zip"})
    assert path.stat().st_size < 20_000_000
    try:
        with pytest.raises(RenderError, match=r"memory|crashed|fit"):
            box.samples(path, "", ())
        small = make_file(tmp_path / "b.exr", np.zeros((2, 2, 3), np.float16), "half")
        assert box.samples(small, "", ())[0].channels == ("R", "G", "B")
    finally:
        box.close()


def test_it_takes_too_long(tmp_path, box, make_file, monkeypatch):
    path = make_file(tmp_path / "a.exr", np.zeros((2, 2, 3), np.float16), "half")
    box.samples(path, "", ())
    monkeypatch.setenv("SAFELIGHT_UNTRUSTED_SECONDS", "0.3")
    os.kill(box._idle[0]._process.pid, signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(RenderError, match=r"took longer than 0\.3 s.*a\.exr|a\.exr.*took longer"):
        box.samples(path, "", ())
    assert time.monotonic() - begin < 20 and not box._idle


def test_it_crashes(tmp_path, box, make_file, monkeypatch):
    path = make_file(tmp_path / "a.exr", np.zeros((2, 2, 3), np.float16), "half")
    box.samples(path, "", ())
    os.kill(box._idle[0]._process.pid, signal.SIGSTOP)
    victim = box._idle[0]._process.pid
    threading.Timer(0.2, os.kill, (victim, signal.SIGSEGV)).start()
    threading.Timer(0.3, os.kill, (victim, signal.SIGCONT)).start()
    with pytest.raises(RenderError, match="crashed"):
        box.samples(path, "", ())
    assert box.samples(path, "", ())[0].display.width == 2


@pytest.mark.parametrize("message", [{}, {"header": {"format": 3}}, {"header": None, "blocks": []}])
def test_nonsense_is_not_believed(tmp_path, box, monkeypatch, message):
    monkeypatch.setattr(Child, "ask", lambda self, request: (message, bytearray(12)))
    with pytest.raises(RenderError, match="nonsense"):
        box.samples(tmp_path / "a.exr", "", ())


def test_limits_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SAFELIGHT_UNTRUSTED_MEMORY", "123")
    assert module.memory_limit() == 123 << 20


def exr(tmp_path, make_file, compression="zip", size=(70, 40)):
    codes = np.random.default_rng(0).integers(1, 5, (size[1], size[0], 3))
    samples = (codes / 4 + np.arange(size[0])[:, None] // 8).astype(np.float16)
    return make_file(tmp_path / "a.exr", samples, "half", {"compression": compression})


@pytest.mark.parametrize("compression", ["none", "zips", "zip", "piz", "dwaa"])
@pytest.mark.parametrize("where", ["table", "lead", "middle", "end"])
def test_zeroed_bytes_are_found(tmp_path, make_file, compression, where):
    path = exr(tmp_path, make_file, compression)
    check_exr(path, 0)
    table = read_exr(path).tables
    data = bytearray(path.read_bytes())
    first = int.from_bytes(data[table : table + 8], "little")
    begin, length = {"table": (table, 8), "lead": (first, 8), "middle": (first + 8, 10**9), "end": (len(data) - 9, 0)}[
        where
    ]
    if where == "end":
        del data[begin:]
    elif where == "middle":
        if compression == "none":
            return  # zeros are a picture there
        size = int.from_bytes(data[first + 4 : first + 8], "little")
        data[begin : begin + size] = bytes(size)
    else:
        data[begin : begin + length] = bytes(length)
    path.write_bytes(data)
    if where == "lead" and compression == "none":
        assert data[first : first + 8] == bytes(8)
    with pytest.raises(RenderError, match="damaged"):
        check_exr(path, 0)


def test_any_cut_of_a_header_is_one_clear_error(tmp_path, make_file):
    path = exr(tmp_path, make_file)
    whole = path.read_bytes()
    for length in range(0, read_exr(path).tables, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(RenderError):
            read_exr(path)


def test_any_flipped_byte_is_read_or_refused(tmp_path, make_file):
    path = exr(tmp_path, make_file)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, read_exr(path).tables + 40, 300):
        data = bytearray(whole)
        data[at] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        try:
            check_exr(path, 0)
        except RenderError as error:
            assert "\n" not in str(error)


def test_tiles_and_levels_are_counted(data):
    for name in ("odd/tiled_mipmap.exr", "odd/y_only.exr", "exr/ilm_goldengate_tiled.exr", "odd/multipart_10parts.exr"):
        for part in range(len(read_exr(data / name).parts)):
            check_exr(data / name, part)
