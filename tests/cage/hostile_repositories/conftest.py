"""A world outside, and ground to build a hostile repository on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cage.outside import Outside, outside


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Outside]:
    with outside(tmp_path / "beyond") as laid_out:
        yield laid_out
