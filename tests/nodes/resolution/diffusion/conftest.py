"""What these tests need of the process they run in."""

from __future__ import annotations

import sys
from unittest.mock import NonCallableMock

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_stand_ins_for_libraries() -> None:
    """colour-science lays mocks into `sys.modules` for libraries that it misses; diffusers takes them for installed."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, NonCallableMock):
            del sys.modules[name]
