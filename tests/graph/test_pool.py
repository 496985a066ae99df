"""Memory goes round, and never while somebody looks at it."""

from __future__ import annotations

import gc
import threading

import numpy as np

from safelight.graph.device import Device
from safelight.graph.pool import Pool

SHAPE = (3, 301, 307)
SIZE = 4 * 3 * 301 * 307


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_freed_memory_is_taken_again() -> None:
    pool = Pool()
    first = pool.empty(SHAPE)
    assert first.shape == SHAPE and first.dtype == np.float32 and first.flags.c_contiguous and first.flags.writeable
    where = address(first)
    del first
    assert pool.idle_bytes == SIZE
    second = pool.empty((1, 301, 3 * 307))
    assert address(second) == where and pool.idle_bytes == 0


def test_a_view_keeps_it() -> None:
    pool = Pool()
    view = pool.empty(SHAPE)[1, 5:9, ::2]
    view[:] = 7
    gc.collect()
    assert pool.idle_bytes == 0
    other = pool.empty(SHAPE)
    other[:] = 9
    assert (view == 7).all()
    del view
    assert pool.idle_bytes == SIZE


def test_other_sizes_do_not_waste() -> None:
    pool = Pool()
    del (held := [pool.empty((1, 2000, 2000))])[:]
    small = pool.empty((1, 600, 600))
    assert pool.idle_bytes == 4 * 2000 * 2000 and small.size == 360000 and not held


def test_idle_memory_is_bounded() -> None:
    pool = Pool(most_idle=3 * SIZE)
    held = [pool.empty(SHAPE) for _ in range(10)]
    del held
    assert pool.idle_bytes <= 3 * SIZE


def test_a_render_says_how_much_may_lie_idle() -> None:
    pool = Pool()
    pool.keep_within(8 * SIZE)
    held = [pool.empty(SHAPE) for _ in range(10)]
    del held
    assert pool.idle_bytes <= 2 * SIZE


def test_threads_never_share_a_block() -> None:
    pool = Pool()
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            array = pool.empty(SHAPE)
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and pool.idle_bytes <= 8 * SIZE


def test_small_and_empty_arrays() -> None:
    assert Device("cpu").empty((3, 0, 0)).shape == (3, 0, 0)
    assert Device("cpu").empty((1, 1, 1)).nbytes == 4
