"""ffmpeg's denoisers as peers."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import RenderError
from safelight.host_adapters.cli.bench._clips import Codes
from safelight.host_adapters.cli.bench._peers import THREADS, Clock, Peer, Setting


@dataclass(frozen=True)
class Filter(Peer):
    """A chain of ffmpeg's filters; `{yuv}` and `{rgb}` stand for the planar pixel format of the frames' depth."""

    def text(self, setting: Setting, deep: bool = False) -> str:
        """Return the chain with its setting filled in."""
        yuv, rgb = ("yuv444p16", "gbrp16") if deep else ("yuv444p", "gbrp")
        return self.chain.format(yuv=yuv, rgb=rgb, **{**setting, "s": f"{float(setting['s']):.4g}"})

    def run(self, frames: Codes, setting: Setting) -> tuple[Codes, npt.NDArray[np.float64]]:
        """Denoise frames in a process of ffmpeg's."""
        return ffmpeg(frames, self.text(setting, frames.dtype != np.uint8))


# Settings that were worse on every clip are not tried again: nlmeans, bm3d and the wavelets in RGB; bm3d's groups of
# more than one block and its second step, which lose 0.5 to 9 dB; dctdnoiz of 16 × 16.
FILTERS = (
    Filter(
        "nlmeans", "format={yuv},nlmeans=s={s}:p={p}:r={r}", 0.3, {"p": (3, 5), "r": (7, 5, 9)}, area=(216, 384),
        deep=False,
    ),
    Filter("dctdnoiz", "dctdnoiz=s={s}", 0.9, area=(216, 384), deep=False),
    Filter("bm3d", "format={yuv},bm3d=sigma={s}:bstep={b}:group=1", 2.2, {"b": (2, 1)}, area=(144, 256)),
    Filter(
        "fftdnoiz", "format={yuv},fftdnoiz=sigma={s}:overlap={o}:prev={t}:next={t}", 1.6,
        {"t": (0, 1), "o": (0.5, 0.7)}, reach=1, area=(144, 256),
    ),
    Filter("owdenoise", "format={yuv},owdenoise=ls={s}:cs={s}", 0.85, area=(144, 256)),
    Filter(
        "vaguedenoiser", "format={yuv},vaguedenoiser=threshold={s}:nsteps=4:type={t}", 1.0,
        {"t": ("bayes", "universal")},
    ),
    Filter("hqdn3d", "format={yuv},hqdn3d={s}:{s}:{t}:{t}", 1.5, {"t": (16, 8, 4, 0)}, reach=2),
    Filter(
        "atadenoise", "format={rgb},atadenoise=0a={s}:1a={s}:2a={s}:0b={b}:1b={b}:2b={b}:s=5:a={a}", 0.01,
        {"b": (0.3, 1.0), "a": ("p", "s")}, reach=2,
    ),
    Filter("tmix", "tpad=stop=1:stop_mode=clone,tmix=frames=3:weights=1 {s} 1,trim=start_frame=1", 0.2, reach=1),
    Filter("tmedian", "tpad=start=1:start_mode=clone:stop=1:stop_mode=clone,tmedian=radius=1", 1.0, reach=1),
)  # fmt: skip


def ffmpeg(frames: Codes, chain: str, threads: int = THREADS) -> tuple[Codes, npt.NDArray[np.float64]]:
    """Run frames through a chain of filters; return them, and seconds by the clock and of the processor.

    8-bit frames travel as `rgb24`, 16-bit ones as `rgb48le`.
    """
    h, w = frames.shape[1:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24" if frames.dtype == np.uint8 else "rgb48le"]
    limits = ["-threads", str(threads), "-filter_threads", str(threads)]
    command = ["ffmpeg", "-v", "error", *limits, *raw, "-s", f"{w}x{h}", "-i", "-", "-vf", chain, *raw, "-"]
    data = frames.tobytes()
    clock = Clock()
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=900)
    seconds = clock.seconds()
    made = np.frombuffer(done.stdout, frames.dtype)
    if done.returncode or made.size != frames.size:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise RenderError(f"ffmpeg could not run '{chain}': {said}", remedy="The bench is made for ffmpeg 5.1.")
    return made.reshape(frames.shape), seconds


def filters() -> tuple[tuple[Filter, ...], str]:
    """Return the filters that are there, and a line on those that are not."""
    if shutil.which("ffmpeg") is None:
        return (), "ffmpeg is not installed: none of its filters was measured"
    listed = subprocess.run(["ffmpeg", "-v", "error", "-filters"], capture_output=True, text=True, check=False).stdout
    names = {words[1] for line in listed.splitlines() if len(words := line.split()) > 2}
    there = tuple(one for one in FILTERS if one.name in names)
    absent = [one.name for one in FILTERS if one.name not in names]
    return there, f"this ffmpeg has no {', '.join(absent)}" if absent else ""
