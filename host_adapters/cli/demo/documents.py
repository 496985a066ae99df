"""The graphs of the demo, as documents that a person can render again and change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PITCH = 6.0
"""µm of film for a pixel: the demo's picture is a window of a 4K scan, where grain is worth looking at."""


@dataclass(frozen=True)
class Shot:
    """Size and length of the demo's plate."""

    width: int = 960
    height: int = 540
    frames: int = 12
    first: int = 1001
    seed: int = 1

    @property
    def cut(self) -> int | None:
        """First frame after the cut, or None."""
        from safelight.nodes.io.plate import PlateParams, cut_frame

        return cut_frame(PlateParams(width=self.width, height=self.height, frames=self.frames, first=self.first))


STEPS = ("truth", "grained", "degrained", "regrained")
"""Folders of pictures, in the order they are made."""


def documents(shot: Shot) -> dict[str, str]:
    """Return the documents by file name, in the order to render them."""
    cuts = f"cuts = [{shot.cut}]" if shot.cut is not None else "cuts = []"
    head = f"safelight = 1\n\n[shot]\n{cuts}\n"
    return {
        "1_plate.toml": f"""\
# A plate with known truth, and the same plate as Vision3 500T would have seen it.
{head}
[nodes.plate]
type = "Plate"
width = {shot.width}
height = {shot.height}
frames = {shot.frames}
first = {shot.first}
seed = {shot.seed}

[nodes.truth]
type = "Write"
input = "plate"
path = "truth/truth.####.exr"

[nodes.film]
type = "Regrain"
input = "plate"
stock = "500T"
pitch = {PITCH}
seed = {shot.seed}

[nodes.grained]
type = "Write"
input = "film"
path = "grained/grained.####.exr"
""",
        "2_degrain.toml": f"""\
# What a restorer does: read the scan, take the grain out, write.
{head}
[nodes.scan]
type = "Read"
path = "grained/grained.####.exr"

[nodes.degrain]
type = "Degrain"
input = "scan"

[nodes.degrained]
type = "Write"
input = "degrain"
path = "degrained/degrained.####.exr"
""",
        "3_regrain.toml": f"""\
# A finer grain on the clean picture: Vision3 50D.
{head}
[nodes.clean]
type = "Read"
path = "degrained/degrained.####.exr"

[nodes.film]
type = "Regrain"
input = "clean"
stock = "50D"
pitch = {PITCH}
seed = {shot.seed + 1}

[nodes.regrained]
type = "Write"
input = "film"
path = "regrained/regrained.####.exr"
""",
    }


def sequence(folder: Path, step: str) -> Path:
    """Return the path of a step's frames, as Read and Write take it."""
    return folder / step / f"{step}.####.exr"
