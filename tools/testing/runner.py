"""Runs the repository's tests on a workspace, in the sandbox, and gives a verdict."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from importlib import resources
from pathlib import Path

from ledger.errors import ChildFailed, SandboxError
from ledger.places import Places
from ledger.vocabulary import RunStatus, TestRun
from tools.process import Finished
from tools.sandbox.types import Job, Mount, Sandbox
from tools.testing import layout
from tools.testing.environment import TestEnvironment
from tools.testing.names import place_of
from tools.testing.report import judge
from tools.testing.settings import TestSettings
from tools.workspace import Workspace

REPORT_ENV = "OURO_REPORT_FD"
_PLUGIN = "_ouro_pytest_plugin"
# The plugin's text and its orders come through standard input: nothing of ours lies on the import path, no id is too
# long for a command line, and the key of the run stands in no environment variable.
_BOOT = f"""\
import sys
sys.path[:] = [path for path in sys.path if path]
def boot():
    import json, types
    orders = json.loads(sys.stdin.buffer.read())
    module = types.ModuleType("{_PLUGIN}")
    sys.modules[module.__name__] = module
    exec(compile(orders.pop("plugin"), "<{_PLUGIN}>", "exec"), module.__dict__)
    return module.main(orders)
sys.exit(boot())
"""


class TestRunner:
    """One for a repository; holds the heavy slot while a run is under way."""

    __test__ = False

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        environment: TestEnvironment,
        places: Places,
        settings: TestSettings,
        heavy: asyncio.Semaphore,
    ) -> None:
        self._sandbox = sandbox
        self._environment = environment
        self._places = places
        self._settings = settings
        self._heavy = heavy
        self._plugin = resources.files(__package__).joinpath(f"{_PLUGIN}.py").read_text(encoding="utf-8")

    @property
    def environment(self) -> TestEnvironment:
        return self._environment

    async def run(
        self,
        ws: Workspace,
        ids: Sequence[str] | None = None,
        *,
        coverage: bool = False,
        limit_s: float | None = None,
        expected: Sequence[str] | None = None,
        use_heavy: bool = True,
    ) -> TestRun:
        """Run the suite, or ``ids`` (test ids, files, folders), on the files of ``ws``.

        ``expected`` ids must be among those collected, else the run is INCONCLUSIVE; so must every one of ``ids``.
        ``use_heavy=False`` is for a caller who holds the heavy slot already. Never raises for what the tests do.
        """
        if self._environment.problem is not None:
            return TestRun(status=RunStatus.INFRA, reason=self._environment.problem)
        if ids is not None and not ids:
            return TestRun(status=RunStatus.INCONCLUSIVE, reason="No test was asked for.")
        ids = _placed(ids) if ids is not None else None
        targets = tuple(dict.fromkeys(test.partition("::")[0] for test in ids or ()))
        gone = await asyncio.to_thread(_absent, ws.root, targets)
        if gone:
            lost = [test for test in ids or () if test.partition("::")[0] in gone]
            return TestRun(status=RunStatus.INCONCLUSIVE, reason=f"{lost[0]} is not there any more: its file is gone.")
        limit = limit_s if limit_s is not None else self._limit(ids)
        key = secrets.token_hex(16)
        async with self._slot(use_heavy):
            job = await asyncio.to_thread(self._job, ws, ids or (), targets, coverage, limit, key)
            try:
                finished: Finished = await self._sandbox.run(job)
            except (SandboxError, ChildFailed) as error:
                return TestRun(status=RunStatus.INFRA, reason=str(error))
        # A big report takes a while to read: not on the event loop.
        return await asyncio.to_thread(
            judge, finished, key=key, expected=tuple(expected or ()), output_chars=self._settings.output_chars
        )

    async def module(self, ws: Workspace, name: str, args: Sequence[str], *, limit_s: float) -> Finished:
        """Run a module of the tests' environment (``python -m name args``) on the files of ``ws``, sandboxed."""
        job = await asyncio.to_thread(self._bare_job, ws, ("-m", name, *args), limit_s)
        async with self._heavy:
            return await self._sandbox.run(job)

    def _bare_job(self, ws: Workspace, tail: Sequence[str], limit: float) -> Job:
        environment, repo = self._environment, self._places.repo
        root = repo if self._sandbox.maps_paths else ws.root
        return Job(
            argv=(*environment.argv, *tail),
            cwd=root,
            mounts=(Mount(source=ws.root, target=root, writable=True), *_present(environment.mounts, repo, ws.root)),
            env=self._child_env(),
            timeout_s=limit,
        )

    def _child_env(self) -> dict[str, str]:
        """No byte code: a file that changes twice within a second would be run from the stale one."""
        prefix = self._environment.prefix
        env = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": f"{prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin"}
        if prefix != Path("/usr"):
            env["VIRTUAL_ENV"] = str(prefix)
        return env

    def _limit(self, ids: Sequence[str] | None) -> float:
        return self._settings.suite_s if ids is None else self._settings.scoped_s

    @contextlib.asynccontextmanager
    async def _slot(self, use_heavy: bool) -> AsyncIterator[None]:
        if use_heavy:
            async with self._heavy:
                yield
        else:
            yield

    def _job(
        self, ws: Workspace, ids: Sequence[str], targets: Sequence[str], coverage: bool, limit: float, key: str
    ) -> Job:
        environment, repo, mapped = self._environment, self._places.repo, self._sandbox.maps_paths
        root = repo if mapped else ws.root
        if not mapped:
            _link_needs(repo, ws.root, environment.needs)
        orders = {
            "plugin": self._plugin,
            "key": key,
            "roots": environment.roots,
            "names": layout.project_names(ws.root, environment.roots),
            "foreign": [str(environment.prefix)],
            "checkout": None if mapped else str(repo),
            "coverage": coverage,
            "wanted": list(ids),
            "targets": list(targets),
            "args": list(self._settings.args),
        }
        return Job(
            argv=(*environment.argv, "-c", _BOOT),
            cwd=root,
            mounts=(Mount(source=ws.root, target=root, writable=True), *_present(environment.mounts, repo, ws.root)),
            env=self._child_env(),
            timeout_s=limit,
            stdin=json.dumps(orders).encode("ascii"),
            report_env=REPORT_ENV,
        )


def _placed(ids: Sequence[str]) -> tuple[str, ...] | None:
    """What pytest is asked for; None for everything (a conftest at the top is needed by all tests)."""
    places = tuple(dict.fromkeys(place_of(test) for test in ids))
    return places if all(places) else None


def _absent(root: Path, targets: Sequence[str]) -> frozenset[str]:
    return frozenset(target for target in targets if not (root / target).exists())


def _present(mounts: Sequence[Mount], repo: Path, root: Path) -> list[Mount]:
    """Mounts whose source is still there, without those that would hide a file of the copy itself.

    An empty file is no such file (a sandbox leaves one behind where it mounted something), nor is a link of ours.
    """
    kept = []
    for mount in mounts:
        own = root / mount.target.relative_to(repo) if mount.target.is_relative_to(repo) else None
        if mount.source.exists() and (own is None or not _holds_own(own, mount.source)):
            kept.append(mount)
    return kept


def _holds_own(place: Path, source: Path) -> bool:
    if place.is_symlink():
        return place.readlink() != source
    return place.is_file() and place.stat().st_size > 0


def _link_needs(repo: Path, root: Path, needs: Sequence[str]) -> None:
    """Where the sandbox cannot mount, ignored files that the tests need become links in the copy."""
    for path in needs:
        place = root / path
        if place.parent.is_dir() and not place.exists():
            place.symlink_to(repo / path)
