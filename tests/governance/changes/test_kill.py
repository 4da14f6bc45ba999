"""A change is killed at every one of its effects; what boot recovery leaves is whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.governance.changes.kill_rounds import SCENARIOS

ROOT = Path(__file__).resolve().parents[3]
MEMORY = Path("/dev/shm")  # hundreds of fsyncs: the order of effects is tested here, not the disk


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(dir=MEMORY if usable else None, prefix="ouro-kill-") as folder:
        yield Path(os.path.realpath(folder))


def rounds(folder: Path, scenario: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.governance.changes.kill_rounds", str(folder), scenario],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["faults"] == []
    return dict(result)


def test_killed_at_every_effect_of_a_commit(fast_folder: Path) -> None:
    result = rounds(fast_folder, "commit")
    assert isinstance(result["rounds"], int) and result["rounds"] > 60
    outcomes = result["outcomes"]
    assert isinstance(outcomes, dict) and outcomes["rolled_back"] > 30 and outcomes["committed"] >= 3


@pytest.mark.long
@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s != "commit"])
def test_killed_at_every_effect(fast_folder: Path, scenario: str) -> None:
    rounds(fast_folder, scenario)
