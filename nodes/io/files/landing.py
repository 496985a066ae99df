"""Files that appear whole or not at all: written under a hidden name beside their own, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
from itertools import count
from pathlib import Path

from safelight.graph.errors import GraphError, RenderError, SafelightError

_number = count()
_NAME = re.compile(r"\.safelight-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>\d+)-[0-9a-f]{8}-\d+\.\w+")


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _started(pid: int) -> int | None:
    """Return when a process of this machine started, in its own units; 0 if it does not tell, None if dead."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return 0


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside `path` that no other writer uses, with its suffix; readers never look at it."""
    token = hashlib.sha256(path.name.encode()).hexdigest()[:8]
    name = f".safelight-{_host()}-{os.getpid()}-{_started(os.getpid()) or 0}-{token}-{next(_number)}{path.suffix}"
    return path.with_name(name)


def remove_stale(folder: Path) -> list[Path]:
    """Remove what dead processes of this machine left half-written in a folder; return it."""
    removed = []
    try:
        with os.scandir(folder) as entries:
            found = [(match, Path(entry.path)) for entry in entries if (match := _NAME.fullmatch(entry.name))]
    except OSError:
        return []
    for match, path in found:
        started = _started(int(match["pid"]))
        dead = started is None or (started and int(match["start"]) and started != int(match["start"]))
        if match["host"] == _host() and dead:
            with contextlib.suppress(OSError):
                path.unlink()
                removed.append(path)
    return removed


class Landing:
    """One file on its way: write to `temporary`, then `land`. As a context manager it removes what did not land."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = temporary_name(path)

    def __enter__(self) -> Landing:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def land(self) -> Path:
        """Force the bytes to disk and give the file its name, replacing what was there.

        Raises
        ------
        RenderError
            The disk is full, or refuses.
        """
        try:
            handle = os.open(self.temporary, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            self.temporary.replace(self.path)
        except OSError as error:
            raise self.failure(error.strerror or str(error)) from None
        return self.path

    def discard(self) -> None:
        """Remove the temporary file, if it is still there."""
        with contextlib.suppress(OSError):
            self.temporary.unlink()

    def failure(self, why: str, needed: int = 0) -> RenderError:
        """Describe a write that failed, as a full disk where it is one."""
        free = free_bytes(self.path.parent)
        if free is not None and (free < max(needed, 1 << 16) or "space" in why.lower()):
            return RenderError(
                f"the disk is full: {_size(free)} left in {self.path.parent}"
                + (f", {_size(needed)} needed" if needed else ""),
                file=self.path,
                remedy="Make room and render again with --resume; no half-written frame was left behind.",
            )
        return RenderError(
            f"cannot be written ({why})", file=self.path, remedy="Look at the folder's permissions and disk."
        )


def free_bytes(folder: Path) -> int | None:
    """Return the bytes free for this user where a folder is, None if that cannot be found out."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _size(count: int) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 10_000 or unit == "GB":
            return f"{count:,.0f} {unit}"
        count //= 1024
    raise AssertionError


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not there and cannot be made, or cannot be written to. Makes nothing.

    Raises
    ------
    GraphError
        Names the folder and what is wrong with it.
    """
    standing = folder
    while not standing.exists() and standing != standing.parent:
        standing = standing.parent
    if not standing.is_dir():
        raise GraphError(f"{standing} is a file, not a folder", remedy="Write somewhere else.")
    if not os.access(standing, os.W_OK | os.X_OK):
        what = (
            "the folder may not be written to" if standing == folder else f"cannot be made: {standing} is not writable"
        )
        raise GraphError(what, file=folder, remedy="Change its permissions, or write somewhere else.")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises
    ------
    GraphError
        It cannot be made, or nothing can be written in it (tried with an empty file).
    """
    trial = temporary_name(folder / "trial.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):
            trial.unlink()
        problem: SafelightError = GraphError(
            f"the folder cannot be written to ({error.strerror})", file=folder, remedy="Write somewhere else."
        )
        raise problem from None


def sync_folder(folder: Path) -> None:
    """Force a folder's new names to disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
