"""Files nobody trusts, decoded in child processes with limits of memory and time."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.device import cpu_count
from safelight.graph.errors import GraphError, RenderError
from safelight.nodes.io.files.child import LEAD
from safelight.nodes.io.files.decode import Block
from safelight.nodes.io.files.header import Header
from safelight.nodes.io.files.pixels import dtype_of

_MOST_TEXT = 256 << 20


def memory_limit() -> int:
    """Return the bytes of address space a child may use (SAFELIGHT_UNTRUSTED_MEMORY, in MB; 4096 by default)."""
    return int(os.environ.get("SAFELIGHT_UNTRUSTED_MEMORY", "4096")) << 20


def time_limit() -> float:
    """Return the seconds a child may take for one file (SAFELIGHT_UNTRUSTED_SECONDS; 60 by default)."""
    return float(os.environ.get("SAFELIGHT_UNTRUSTED_SECONDS", "60"))


class _DiedError(Exception):
    """The child is gone or silent; the text says how, as the end of a sentence."""


class Child:
    """One child process. Not safe for two threads at once."""

    def __init__(self) -> None:
        memory = memory_limit()
        # -P keeps the working folder, which may be the hostile files' own, out of the module path.
        code = f"from safelight.nodes.io.files.child import main; main({memory})"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the parent's to handle
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
        """Send one request; return the answer and its raw samples. Raises _DiedError."""
        assert self._process.stdin is not None
        deadline = time.monotonic() + time_limit()
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise _DiedError(self._how()) from None
        text_length, payload_length = LEAD.unpack(self._take(LEAD.size, deadline))
        if text_length > _MOST_TEXT or payload_length > memory_limit():
            raise _DiedError("answered nonsense")
        try:
            message = json.loads(bytes(self._take(text_length, deadline)))
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise _DiedError("answered nonsense")
        return message, self._take(payload_length, deadline)

    def _take(self, count: int, deadline: float) -> bytearray:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        taken = bytearray(count)
        view, at = memoryview(taken), 0
        while at < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                raise _DiedError(f"took longer than {time_limit():g} s")
            got = os.readv(handle, [view[at:]])
            if not got:
                raise _DiedError(self._how())
            at += got
        return taken

    def _how(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        if code is None:
            return "stopped answering"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"crashed ({signal.Signals(-code).name})"
        return f"ended with status {code}"

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Sandbox:
    """An Opener whose every file is decoded in a child; a child that dies takes nothing else with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(cpu_count() + 1)
        self._idle: list[Child] = []
        self._movies: dict[Path, tuple[threading.Lock, list[Child]]] = {}
        atexit.register(self.close)

    def header(self, path: Path, part: str) -> Header:
        """See Opener."""
        return self._header({"do": "header", "path": str(path), "part": part}, path)

    def movie_header(self, path: Path) -> Header:
        """See Opener."""
        return self._header({"do": "movie_header", "path": str(path)}, path)

    def samples(self, path: Path, part: str, channels: Sequence[str]) -> tuple[Header, list[Block]]:
        """See Opener."""
        return self._samples({"do": "samples", "path": str(path), "part": part, "channels": list(channels)}, path)

    def movie_frame(self, path: Path, index: int) -> tuple[Header, list[Block]]:
        """See Opener."""
        return self._samples({"do": "movie_frame", "path": str(path), "index": index}, path)

    def close(self) -> None:
        """End all children."""
        with self._lock:
            children = [*self._idle, *(child for _, kept in self._movies.values() for child in kept)]
            self._idle.clear()
            self._movies.clear()
        for child in children:
            child.kill()

    def _header(self, request: dict[str, Any], path: Path) -> Header:
        message, _ = self._ask(request, path)
        return _header_of(message, path)

    def _samples(self, request: dict[str, Any], path: Path) -> tuple[Header, list[Block]]:
        message, payload = self._ask(request, path)
        header = _header_of(message, path)
        blocks, at = [], 0
        try:
            for kind, shape in message["blocks"]:
                dtype = dtype_of(kind)
                height, width, count = map(int, shape)
                if (height, width) != (header.data.height, header.data.width) or count < 1:
                    raise ValueError(shape)
                size = height * width * count
                blocks.append(Block(kind, np.frombuffer(payload, dtype, size, at).reshape(height, width, count)))
                at += size * dtype.itemsize
            if at != len(payload) or sum(block.samples.shape[2] for block in blocks) != len(header.channels):
                raise ValueError(at)
        except (KeyError, TypeError, ValueError):
            raise _hostile(path, "answered nonsense") from None
        return header, blocks

    def _ask(self, request: dict[str, Any], path: Path) -> tuple[dict[str, Any], bytearray]:
        if request["do"].startswith("movie"):
            # A movie stays with the child that built its index and stands at its next frame.
            with self._lock:
                lock, kept = self._movies.setdefault(path, (threading.Lock(), []))
            with lock:
                child = kept.pop() if kept else self._take()
                answer = self._talk(child, request, path)
                kept.append(child)
                return answer
        with self._room:
            child = self._take()
            answer = self._talk(child, request, path)
            with self._lock:
                self._idle.append(child)
        return answer

    def _take(self) -> Child:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Child()

    def _talk(self, child: Child, request: dict[str, Any], path: Path) -> tuple[dict[str, Any], bytearray]:
        try:
            message, payload = child.ask(request)
        except _DiedError as error:
            child.kill()
            raise _hostile(path, str(error)) from None
        except BaseException:
            child.kill()
            raise
        if "error" in message:
            if message["error"] == "memory":
                child.kill()
                raise _hostile(path, f"wanted more than {memory_limit() >> 20} MB of memory")
            kind = GraphError if message["error"] == "graph" else RenderError
            raise kind(str(message.get("what", "cannot be read")), file=path, remedy=str(message.get("remedy", "")))
        return message, payload


def _header_of(message: dict[str, Any], path: Path) -> Header:
    try:
        return Header.from_plain(message["header"])
    except (KeyError, TypeError, ValueError, IndexError):
        raise _hostile(path, "answered nonsense") from None


def _hostile(path: Path, how: str) -> RenderError:
    return RenderError(
        f"the process that decodes untrusted files {how} at this file",
        file=path,
        remedy="The file is damaged or hostile; if you trust it, read it without --untrusted, or raise "
        "SAFELIGHT_UNTRUSTED_MEMORY (MB) and SAFELIGHT_UNTRUSTED_SECONDS.",
    )


@cache
def sandbox() -> Sandbox:
    """Return the one sandbox of this process."""
    return Sandbox()
