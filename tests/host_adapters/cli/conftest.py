"""The command line as a process, and small documents for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "safelight.host_adapters.cli.main"]
Safelight = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def safelight(tmp_path: Path) -> Safelight:
    """Run `safelight …` in an empty folder, as a user does."""

    def run(*arguments: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=cwd or tmp_path,
            env={**os.environ, "SAFELIGHT_DEBUG": "0", "COLUMNS": "120", **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def plate_document(
    folder: Path, *, width: int = 96, height: int = 54, frames: int = 4, extra: str = "", name: str = "plate.toml"
) -> Path:
    """Write a document: Plate -> Write out/plate.####.exr."""
    path = folder / name
    path.write_text(
        f"""safelight = 1
[nodes.plate]
type = "Plate"
width = {width}
height = {height}
frames = {frames}
[nodes.out]
type = "Write"
input = "plate"
path = "out/plate.####.exr"
{extra}
"""
    )
    return path


def frames_in(folder: Path) -> list[str]:
    """Return all file names in a folder, hidden ones too, but for the notes of finished frames."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".safelight")
