"""Every service in this process takes the sandbox whose walls were tried once: see :mod:`tests.proved`."""

from __future__ import annotations

import pytest

from daemon.adapters import test_setup
from tests.proved import choose_once


@pytest.fixture(autouse=True)
def walls_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_setup, "choose", choose_once)
