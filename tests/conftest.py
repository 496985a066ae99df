"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Threads that spin while they wait would slow each other on the two cores that tests usually get.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real pictures; tests that need it are skipped where there is none."""
    folder = os.environ.get("SAFELIGHT_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the folder of test pictures in SAFELIGHT_TEST_DATA")
    return Path(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes many minutes and is sampled by another test, unless it is asked for."""
    if os.environ.get("SAFELIGHT_EXHAUSTIVE") != "1":
        for item in items:
            if item.get_closest_marker("exhaustive"):
                item.add_marker(pytest.mark.skip(reason="many minutes: SAFELIGHT_EXHAUSTIVE=1 runs it"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run in no more than eight processes with `-n auto`: each has threads of its own, and pictures in memory."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
