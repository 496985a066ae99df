"""Which frames are already good: one small file beside the frames for each of them.

`.safelight/NAME.json`, next to frame file NAME, holds the signature the frame was made with and the file's size and
time when it was finished. A frame counts as done only if signature and file both agree: an edited graph, another plate,
a frame touched by another program, a file cut short, all make it be rendered again. A note left over from an older
file does no harm, since the file's time differs. One file a frame, written by
rename, so that farm tasks on one folder never write the same one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = ".safelight"


def _entry(target: Path) -> Path:
    return target.parent / FOLDER / f"{target.name}.json"


def record(target: Path, signature: str) -> None:
    """Note that `target` is complete. Failing to note costs a resume, never a frame: OSError is swallowed."""
    try:
        stat = target.stat()
        entry = _entry(target)
        entry.parent.mkdir(exist_ok=True)
        temporary = entry.with_name(f".{entry.name}.{os.getpid()}")
        temporary.write_text(
            json.dumps({"signature": signature, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}) + "\n"
        )
        temporary.replace(entry)
    except OSError:
        pass


def is_done(target: Path, signature: str) -> bool:
    """Tell whether `target` is there, untouched, and was made with this signature."""
    try:
        entry = json.loads(_entry(target).read_text())
        stat = target.stat()
    except (OSError, ValueError):
        return False
    wanted = {"signature": signature, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return isinstance(entry, dict) and all(entry.get(key) == value for key, value in wanted.items())
