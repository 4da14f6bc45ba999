"""Small real projects with a real environment of their own, and what is needed to run their tests."""

from __future__ import annotations

import asyncio
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from ledger.places import Places
from ledger.vocabulary import TestRun
from tests.packages import PYTEST, lay_packages
from tests.proved import choose_once
from tests.repos import git, host_env, make_places, make_repo
from tools.git import Git
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Sandbox
from tools.testing.environment.detection import TestEnvironment, detect
from tools.testing.runner import TestRunner
from tools.testing.settings import TestSettings
from tools.workspace import Workspace, Workspaces, WorkspaceSettings

Backend = Literal["bwrap", "landlock", "none"]
SHOP = {
    "shop/__init__.py": "",
    "shop/cart.py": "def total(prices, off=0):\n    subtotal = sum(prices)\n    return subtotal - off\n",
    "tests/test_cart.py": (
        "import pytest\n"
        "from shop.cart import total\n\n\n"
        "def test_plain():\n    assert total([1, 2]) == 3\n\n\n"
        "@pytest.mark.parametrize('off, want', [(0, 10), (3, 7)])\n"
        "def test_off(off, want):\n    assert total([10], off) == want\n"
    ),
}
SHOP_IDS = ("tests/test_cart.py::test_plain", "tests/test_cart.py::test_off[0-10]", "tests/test_cart.py::test_off[3-7]")
BROKEN = {"shop/cart.py": "def total(prices, off=0):\n    subtotal = sum(prices)\n    return subtotal + off\n"}


def shared_packages(base: Path, names: Sequence[str] = PYTEST) -> Path:
    """A folder with pytest and what it needs, nothing else: no plugin of the development environment comes along."""
    base.mkdir()
    return lay_packages(base, names)


def make_environment(folder: Path, *linked: Path) -> Path:
    """A virtual environment without pip whose import path is lengthened by ``linked`` folders, by a ``.pth``.

    Tests may read those outside the repository only where the owner names them: :func:`linked_by`.
    """
    venv.create(folder, symlinks=True)
    site = next((folder / "lib").glob("python3.*/site-packages"))
    (site / "linked.pth").write_text("".join(f"{path}\n" for path in linked))
    return folder


def linked_by(folder: Path, repo: Path) -> list[str]:
    """What an owner who made such an environment writes into ``tests.readable``."""
    files = (folder / "lib").glob("python3.*/site-packages/*.pth")
    lines = [line for file in files for line in file.read_text().splitlines() if line.startswith("/")]
    return [line for line in lines if not Path(line).is_relative_to(repo)]


@dataclass(frozen=True, kw_only=True)
class Project:
    """One repository, a workspace of its HEAD, and a runner."""

    repo: Path
    places: Places
    workspaces: Workspaces
    ws: Workspace
    environment: TestEnvironment
    settings: TestSettings
    sandbox: Sandbox

    def runner(self) -> TestRunner:
        return TestRunner(
            sandbox=self.sandbox,
            environment=self.environment,
            places=self.places,
            settings=self.settings,
            bounds=SandboxSettings(),
            heavy=asyncio.Semaphore(1),
        )

    async def run(self, ids: Sequence[str] | None = None, **options: object) -> TestRun:
        return await self.runner().run(self.ws, ids, **options)  # type: ignore[arg-type]  # options of the test at hand

    def write(self, files: Mapping[str, str]) -> None:
        """Change the copy, as a candidate would."""
        for name, text in files.items():
            path = self.ws.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


async def held_by(backend: Backend, places: Places) -> Sandbox:
    """The back end as the daemon chooses it; skips, naming it, where it does not hold."""
    bounds = SandboxSettings(backend=backend, allow_unsandboxed=backend == "none")
    choice = await choose_once(bounds, places, host_env())
    if choice.sandbox is None:
        pytest.skip(f"{backend} does not work here: {choice.remedy}")
    return choice.sandbox


async def make_project(
    base: Path, files: Mapping[str, str], python: Path | None, sandbox: Sandbox | Backend, **settings: object
) -> Project:
    """Commit ``files`` and get ready to run their tests with ``python`` (an environment's folder; None: detect).

    ``sandbox`` may be the name of a back end, chosen as the daemon chooses it; skips where it does not hold.
    """
    repo = base / "repo"
    if not (repo / ".git").exists():
        make_repo(repo, files)
    places = make_places(base / "ours", repo)
    if isinstance(sandbox, str):
        sandbox = await held_by(sandbox, places)
    settings.setdefault("readable", linked_by(python or repo / ".venv", repo))
    chosen = TestSettings.model_validate({"python": str(python) if python else None, **settings})
    workspaces = Workspaces(Git(places, host_env()), places, WorkspaceSettings(memory_folder=""))
    return Project(
        repo=repo,
        places=places,
        workspaces=workspaces,
        ws=await workspaces.acquire("op-test", git(repo, "rev-parse", "HEAD")),
        environment=await detect(places, chosen, host_env()),
        settings=chosen,
        sandbox=sandbox,
    )
