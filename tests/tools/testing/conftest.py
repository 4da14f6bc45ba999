"""One environment with pytest, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.testing.plain import PlainSandbox
from tests.tools.testing.projects import make_environment, shared_packages


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_packages(tmp_path_factory.mktemp("packages") / "shared")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Path:
    return make_environment(tmp_path_factory.mktemp("environment") / "venv", packages)


@pytest.fixture
def plain(tmp_path: Path) -> PlainSandbox:
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    return PlainSandbox(tmp)
