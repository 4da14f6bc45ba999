"""Every service in this process takes the sandbox whose walls were tried once: see :mod:`tests.proved`."""

from __future__ import annotations

import pytest

from daemon import means
from tests.proved import choose_once


@pytest.fixture(autouse=True)
def walls_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(means, "choose", choose_once)
