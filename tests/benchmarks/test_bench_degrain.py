"""The benchmark runs and its figures are sane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.graph.errors import RenderError
from safelight.host_adapters.cli.bench import _ffmpeg, _others
from safelight.host_adapters.cli.bench._clips import Codes, from_log_codes, log_codes, noisy, psnr
from safelight.host_adapters.cli.bench._peers import Clock, Peer, Setting, search
from safelight.host_adapters.cli.bench.degrain import run


def test_quick_run() -> None:
    rows = {row.name: row for row in run(quick=True)}
    assert all(np.isfinite(row.value) for row in rows.values())
    assert rows["Plate: Degrain"].value - rows["Plate: noisy"].value > 5
    assert rows["5219 at 4K, all clips: gain over the plate"].value > 4
    # What is timed is there and positive; on a loaded machine no more can be said of it.
    timed = ("time over the limit", "bytes reached", "bytes, the machine's")
    assert all(rows[name].value > 0 for name in (*timed, "operations reached", "operations, the machine's"))
    assert rows["memory over clip length"].value > 0.5
    if "Plate: nlmeans" in rows:
        assert rows["Plate: gain over the best filter"].value > 0.5
        assert rows["Plate: gain over the best filter"].value <= min(
            rows["Plate: Degrain"].value - rows[f"Plate: {name}"].value + 0.5 for name in ("nlmeans", "dctdnoiz")
        )


class Blur(Peer):
    """Stands for a denoiser with a best strength: a share of each frame is replaced by its mean."""

    def run(self, frames: Codes, setting: Setting) -> tuple[Codes, Any]:
        if float(setting["s"]) > 1:
            raise RenderError("too strong")
        mean = frames.astype(np.float64).mean((1, 2), keepdims=True) + (30.0 if setting["way"] == "wrong" else 0.0)
        s = float(setting["s"])
        return np.rint((1 - s) * frames + s * mean).astype(frames.dtype), Clock().seconds()


def test_a_search_finds_the_best_setting_and_stays_within_what_the_peer_takes() -> None:
    rng = np.random.default_rng(2)
    clean = np.clip(128 + 20 * rng.standard_normal((3, 64, 64, 3)), 0, 255).astype(np.uint8)
    given = noisy(clean, 20)
    peer = Blur("blur", "s={s} {way}", 0.001, {"way": ("wrong", "right")})
    found = search(peer, given, clean, 20)
    # Wiener's: noise variance over both.
    assert found["way"] == "right" and float(found["s"]) == pytest.approx(0.5, rel=0.15)
    assert psnr(peer.middle(given, 1, found), clean[1]) > psnr(given[1], clean[1]) + 2
    with pytest.raises(RenderError, match="too strong"):
        search(Blur("blur", "s={s} {way}", 900.0, {"way": ("wrong",)}), given, clean, 20)


def test_log_codes_come_back() -> None:
    light = np.array([-0.02, 0.0, 0.001, 0.18, 1.0, 140.0], np.float32).reshape(1, 1, 1, 6).repeat(3, 1)
    for deep, close in ((True, 3e-4), (False, 0.06)):
        codes = log_codes(light, deep)
        assert codes.dtype == (np.uint16 if deep else np.uint8) and codes.shape == (1, 1, 6, 3)
        back = from_log_codes(codes[0])
        np.testing.assert_allclose(back, light[0], rtol=close, atol=0.01 * close)


def test_absent_peers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_others.importlib.util, "find_spec", lambda name: None)
    there, said = _others.packages()
    assert there == () and "safelight[bench]" in said and "bm3d (non-commercial" in said
    monkeypatch.setattr(_ffmpeg.shutil, "which", lambda name: None)
    assert _ffmpeg.filters() == ((), "ffmpeg is not installed: none of its filters was measured")


@pytest.mark.skipif(not _ffmpeg.filters()[0], reason="needs ffmpeg")
def test_every_filter_takes_its_frames_and_gives_back_the_middle_one() -> None:
    """A ramp that brightens by 20 codes a frame: the middle one is known from its neighbours by its level."""
    y, x = np.mgrid[:64, :96]
    frames = np.stack([np.stack([x + 20 * t, y + 20 * t, 60 + 20 * t + 0 * x], -1) for t in range(5)]).astype(np.uint8)
    for one in _ffmpeg.filters()[0]:
        for given in (frames, frames.astype(np.uint16) * 257) if one.deep else (frames,):
            setting = {**one.start(4), **({"t": 0} if one.name == "hqdn3d" else {})}
            made = one.middle(given, 2, setting)
            top = np.iinfo(given.dtype).max / 255
            assert made.shape == (64, 96, 3) and made.dtype == given.dtype
            off = np.abs(np.median(made[16:48, 16:80].astype(float) - given[2, 16:48, 16:80])) / top
            assert off < 10, (one.name, off)  # a frame late would be 20
