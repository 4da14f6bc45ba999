"""A world outside, and ground to build a hostile repository on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cage.outside import Outside, outside
from tests.tools.testing.conftest import environment, packages

__all__ = ["environment", "packages", "world"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Outside]:
    with outside(tmp_path / "beyond") as laid_out:
        yield laid_out
