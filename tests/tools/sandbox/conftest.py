"""Places, and every back end that this machine can try."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ledger.places import Places
from tests.repos import host_env, make_places, make_repo
from tests.tools.sandbox.boxes import Box
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.choice import candidates
from tools.sandbox.landlock import Landlock
from tools.sandbox.settings import SandboxSettings

NO_BWRAP = "bubblewrap is not installed (apt install bubblewrap): its walls are NOT tested here"
NO_LANDLOCK = "the kernel has no Landlock with ABI 3: its walls are NOT tested here"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path, make_repo(tmp_path / "repo"))


@pytest.fixture
def limits() -> SandboxSettings:
    return SandboxSettings(grace_s=0.3)


@pytest.fixture
def found(places: Places, limits: SandboxSettings) -> dict[str, Box]:
    return {name: box for name, box in candidates(limits, places, host_env()) if not isinstance(box, str)}


@pytest.fixture
def bwrap(found: dict[str, Box]) -> Bwrap:
    if shutil.which("bwrap") is None:
        pytest.skip(NO_BWRAP)
    box = found["bwrap"]
    assert isinstance(box, Bwrap)
    return box


@pytest.fixture
def landlock(found: dict[str, Box]) -> Landlock:
    if "landlock" not in found:
        pytest.skip(NO_LANDLOCK)
    box = found["landlock"]
    assert isinstance(box, Landlock)
    return box


@pytest.fixture(params=["bwrap", "landlock"])
def box(request: pytest.FixtureRequest) -> Box:
    chosen: Box = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A workspace."""
    path = tmp_path / "work"
    path.mkdir()
    return path
