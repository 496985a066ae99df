"""Writing behind: a thread for each sink, so that frames are compressed while the next ones are made."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from safelight.graph.errors import RenderError, SafelightError
from safelight.graph.image import Image
from safelight.graph.node import Writer


class WriteBehind:
    """Feeds one writer from a bounded queue.

    `put` waits while more than `limit` bytes are queued. Errors of the writer are raised by the next `put`, or by
    `finish`.
    """

    def __init__(
        self, name: str, writer: Writer, limit: int, written: Callable[[int | None, Sequence[Path]], None]
    ) -> None:
        self._name = name
        self._writer = writer
        self._limit = limit
        self._written = written
        self._queue: deque[tuple[int, Image]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ending = False
        self._error: SafelightError | None = None
        self._thread = threading.Thread(target=self._work, name=f"safelight-write-{name}", daemon=True)
        self._thread.start()

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait to be written, the frame at the writer included."""
        return self._bytes

    def put(self, frame: int, image: Image) -> None:
        """Queue one frame, in ascending order."""
        with self._changed:
            while self._queue and self._bytes + image.nbytes > self._limit and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._queue.append((frame, image))
            self._bytes += image.nbytes
            self._changed.notify_all()

    def finish(self) -> None:
        """Write what is queued and close the writer."""
        self._join()
        if self._error is None:
            try:
                self._written(None, self._writer.close())
            except Exception as error:
                self._error = self._explain(error, None)
        if self._error is not None:
            self._writer.abort()
            raise self._error

    def stop(self, *, drain: bool) -> None:
        """End early: with `drain` the frames already queued are still written. Raises nothing."""
        if not drain:
            with self._changed:
                self._queue.clear()
        self._join()
        self._writer.abort()

    def _join(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._ending:
                    self._changed.wait()
                if not self._queue:
                    return
                frame, image = self._queue.popleft()
            try:
                self._written(frame, self._writer.write(frame, image))
            except Exception as error:
                with self._changed:
                    self._error = self._explain(error, frame)
                    self._queue.clear()
                    self._bytes = 0
                    self._changed.notify_all()
                return
            size = image.nbytes
            del image
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()

    def _explain(self, error: Exception, frame: int | None) -> SafelightError:
        if isinstance(error, SafelightError):
            return error.at(where=f"node '{self._name}'", frame=frame)
        explained = RenderError(f"{type(error).__name__}: {error}", where=f"node '{self._name}'", frame=frame)
        explained.__cause__ = error
        return explained
