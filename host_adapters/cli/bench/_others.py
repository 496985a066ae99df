"""Peers that are Python packages a person may have: OpenCV's non-local means, and `bm3d` (non-commercial)."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.host_adapters.cli.bench._clips import Codes
from safelight.host_adapters.cli.bench._peers import THREADS, Clock, Peer, Setting


@dataclass(frozen=True)
class Package(Peer):
    """A function of a package that may be absent; `call` takes the frames, which one is wanted, and the setting."""

    package: str = ""
    call: Callable[[Codes, int, Setting], Codes] = lambda frames, at, setting: frames[at]

    def run(self, frames: Codes, setting: Setting) -> tuple[Codes, npt.NDArray[np.float64]]:
        """Denoise the frames that have all their neighbours; the others come back as they are."""
        made = frames.copy()
        clock = Clock()
        for at in range(self.reach, len(frames) - self.reach):
            made[at] = self.call(frames, at, setting)
        return made, clock.seconds() * len(frames) / max(1, len(frames) - 2 * self.reach)


def _cv2() -> Any:
    cv2 = importlib.import_module("cv2")

    cv2.setNumThreads(THREADS)
    return cv2


def _still(frames: Codes, at: int, setting: Setting) -> Codes:
    cv2, h = _cv2(), float(setting["s"])
    swapped = np.ascontiguousarray(frames[at][..., ::-1])
    done = cv2.fastNlMeansDenoisingColored(swapped, None, h, h * float(setting["c"]), int(setting["p"]), 21)
    return np.asarray(done[..., ::-1])


def _moving(frames: Codes, at: int, setting: Setting) -> Codes:
    cv2, h = _cv2(), float(setting["s"])
    swapped = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    colour = h * float(setting["c"])
    done = cv2.fastNlMeansDenoisingColoredMulti(swapped, at, 3, None, h, colour, int(setting["p"]), 21)
    return np.asarray(done[..., ::-1])


def _bm3d(frames: Codes, at: int, setting: Setting) -> Codes:
    bm3d = importlib.import_module("bm3d")

    done = bm3d.bm3d_rgb(frames[at].astype(np.float64) / 255, float(setting["s"]) / 255)
    made: Codes = np.clip(np.rint(255 * np.asarray(done)), 0, 255).astype(np.uint8)
    return made


PACKAGES = (
    Package(
        "OpenCV", "fastNlMeansDenoisingColored(h={s}, hColor={s}·{c}, {p}, 21)", 0.6, {"c": (1, 0.7, 1.5), "p": (3, 5)},
        area=(144, 256), deep=False, package="cv2", call=_still,
    ),
    Package(
        "OpenCV, 3 frames", "fastNlMeansDenoisingColoredMulti(h={s}, hColor={s}·{c}, {p}, 21)", 0.6,
        {"c": (1, 0.7, 1.5), "p": (3, 5)}, reach=1, area=(144, 256), deep=False, package="cv2", call=_moving,
    ),
    Package("bm3d package", "bm3d_rgb(sigma={s})", 1.0, area=(96, 128), deep=False, package="bm3d", call=_bm3d),
)  # fmt: skip


def packages() -> tuple[tuple[Package, ...], str]:
    """Return the packages that are there, and a line on those that are not."""
    there = tuple(one for one in PACKAGES if importlib.util.find_spec(one.package) is not None)
    remedies = {"cv2": "OpenCV (pip install 'safelight[bench]')", "bm3d": "bm3d (non-commercial; pip install bm3d)"}
    absent = [text for package, text in remedies.items() if not any(one.package == package for one in there)]
    return there, f"not installed, so not measured: {'; '.join(absent)}" if absent else ""
