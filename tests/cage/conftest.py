"""A project with the mistake that hostile candidates are written for, in a bare environment of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cage.hostile_candidates import BAD, PATH, TESTS
from tests.tools.testing.projects import Project, make_environment, make_project, shared_packages


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("bare")
    return make_environment(base / "venv", shared_packages(base / "packages"))


@pytest.fixture
async def project(tmp_path: Path, environment: Path) -> AsyncIterator[Project]:
    one = await make_project(tmp_path, {**TESTS, PATH: BAD}, environment, "landlock")
    yield one
    await one.workspaces.release(one.ws)
    await one.workspaces.close()
