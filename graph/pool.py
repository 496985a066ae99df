"""Memory that goes round: a frame's planes are taken from frames that were freed, not from the system.

Fresh memory costs a page fault every 4 KB, which for a 4K frame is as much time as a good kernel. CuPy pools by itself.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from safelight.graph.image import Array

Block = np.ndarray[Any, np.dtype[np.uint8]]

SMALLEST = 1 << 18
"""Bytes below which the allocator is as quick."""
MOST_IDLE = 1 << 30
"""Bytes kept that nobody uses, until somebody says; beyond it the oldest go back to the system."""


class Pool:
    """Hands out float32 arrays; their memory comes back by itself when the last view of it is gone."""

    def __init__(self, most_idle: int = MOST_IDLE) -> None:
        self._most_idle = most_idle
        self._idle: dict[int, Block] = {}
        # Re-entrant, and every step below stands an interruption: a collection of garbage may give a block back while
        # this very thread is taking one.
        self._lock = threading.RLock()

    @property
    def idle_bytes(self) -> int:
        """Bytes that wait to be used again."""
        return sum(block.nbytes for block in list(self._idle.values()))

    def keep_within(self, budget: int) -> None:
        """Keep up to a quarter of a render's budget idle, and 2 GiB at most: what Degrain lays aside for a 4K frame."""
        self._most_idle = min(budget // 4, 2 << 30)

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Return an array with arbitrary content, rows of consecutive floats."""
        size = 4 * int(np.prod(shape, dtype=np.int64))
        if size < SMALLEST:
            return np.empty(shape, np.float32)
        block = self._take(size)
        lent = np.asarray(_Loan(self, block))
        return lent[:size].view(np.float32).reshape(shape)

    def _take(self, size: int) -> Block:
        with self._lock:
            for key, block in reversed(list(self._idle.items())):  # the one used last is the one in the caches
                if size <= block.nbytes <= size + size // 8 and self._idle.pop(key, None) is not None:
                    return block
        return np.empty(size, np.uint8)

    def _give(self, block: Block) -> None:
        with self._lock:
            self._idle[id(block)] = block
            while self.idle_bytes > self._most_idle:
                self._idle.pop(next(iter(list(self._idle))), None)


class _Loan:
    """Owns a block while any array looks at it."""

    def __init__(self, pool: Pool, block: Block) -> None:
        self._pool = pool
        self._block = block
        self.__array_interface__ = block.__array_interface__

    def __del__(self) -> None:
        self._pool._give(self._block)


shared = Pool()
"""The pool of this process."""
