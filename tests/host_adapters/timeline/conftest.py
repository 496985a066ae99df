"""Media whose pixels say what they are, and the command line as a process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

pytest.importorskip("opentimelineio", reason="needs the extra 'timeline'")

TEMPLATE = """safelight = 1
[graph]
description = "template"
[shot]
cuts = [3]
[nodes.scan]
type = "Read"
path = "anything.####.exr"
[nodes.out]
type = "Write"
input = "scan"
path = "out/x.#####.exr"
datatype = "float"
"""


def write_frame(path: Path, values: tuple[float, float, float], **attributes: object) -> None:
    """Write 2x2 pixels of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = oiio.ImageSpec(2, 2, 3, oiio.FLOAT)
    spec["compression"] = "none"
    for name, value in attributes.items():
        if name == "timecode":
            spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), value)
        elif name == "fps":
            spec.attribute("framesPerSecond", oiio.TypeDesc("rational"), value)
        else:
            spec.attribute(name, value)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec), oiio.geterror()
    assert out.write_image(np.full((2, 2, 3), values, np.float32))
    out.close()


def bcd(frame: int, rate: int) -> tuple[int, int]:
    """Return SMPTE 12M's words of a frame count."""
    parts = (frame % rate, frame // rate % 60, frame // rate // 60 % 60, frame // rate // 3600)
    return sum((part // 10 << 4 | part % 10) << 8 * place for place, part in enumerate(parts)), 0


def pixel(path: Path) -> tuple[float, ...]:
    """Return the first pixel of a file."""
    return tuple(float(value) for value in oiio.ImageBuf(str(path)).getpixel(0, 0))


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "template.toml"
    path.write_text(TEMPLATE)
    return path
