"""Runs the repository's tests on a workspace, in the sandbox, and returns a verdict."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from ledger.errors import ChildFailed, PolicyRefused, SandboxError
from ledger.places import Places
from ledger.vocabulary import RunStatus, TestRun
from tools import contained
from tools.process import Finished
from tools.sandbox.limits import MIB
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import HOME
from tools.sandbox.types import Job, Mount, Sandbox
from tools.streams import Talk
from tools.testing import no_sockets
from tools.testing.environment import layout
from tools.testing.environment.detection import TestEnvironment
from tools.testing.report.events import BASIC, BESIDES
from tools.testing.report.verdict import TIME_LIMIT, join_runs, judge
from tools.testing.report.watch import UNWATCHED, Watch, watch
from tools.testing.selection.names import place_of
from tools.testing.settings import TestSettings
from tools.testing.warm import Ended, WarmProcess
from tools.workspace import Workspace

REPORT_ENV = "OURO_REPORT_FD"
_PLUGINS = "tools.testing.pytest_plugins"
_PLUGIN, _WORKER, _TRACE = "_ouro_pytest_plugin", "_ouro_test_worker", "_ouro_trace"
_PROBE, _SCREEN, _ENTERED = "_ouro_probe", "_ouro_screen", "_ouro_entered"
# Our modules are sent through standard input, so that nothing of ours is on the import path and no text is too long for
# a command line. Orders follow the first text, so not one byte too many may be read here. The watching process must
# import nothing of the repository, which a development installation puts on the import path: neither the two modules
# that Python imports by name at its start (it finds ours, which are empty), nor modules that the standard library tries
# to import in vain. For the tests all of that is restored.
_START = Path("/.ouro-start")
_CUSTOM = ("sitecustomize", "usercustomize")
_BOOT = f"""\
import os, sys
start = os.environ.pop("PYTHONPATH", "")
for name in {_CUSTOM}:
    sys.modules.pop(name, None)
sys.path_importer_cache.pop(start, None)
def foreign(path):
    real, copy, prefix = (os.path.realpath(folder) + "/" for folder in (path, os.getcwd(), sys.prefix))
    return real.startswith(prefix) or not real.startswith(copy)
path, finders = [path for path in sys.path if path and path != start], list(sys.meta_path)
sys.path[:] = filter(foreign, path)
own = ("_frozen_importlib", "_frozen_importlib_external")
sys.meta_path[:] = [finder for finder in finders if getattr(finder, "__module__", None) in own]
def boot():
    import json, types
    with open(0, "rb", buffering=0, closefd=False) as raw:
        def take(count):
            data = b""
            while len(data) < count:
                more = raw.read(count - len(data))
                if not more:
                    raise SystemExit(0)
                data += more
            return data
        texts = json.loads(take(int(take(8), 16)))
    module = types.ModuleType("{_WORKER}")
    sys.modules[module.__name__] = module
    exec(compile(texts.pop("worker"), "<{_WORKER}>", "exec"), module.__dict__)
    module.WHOLE = (path, finders)
    return module.main(texts)
sys.exit(boot())
"""
STEADY = {"PYTHONHASHSEED": "0"}
"""Variables of a search's processes, whose candidates are compared with each other; not of runs for a verdict."""
SCREEN_SHARE = 0.8
"""Share of a screening run's time; the rest is for start-up and report."""
EVENTS, WHOLE = 50_000, 8
"""Maximum number of traced lines and calls of a test when the suite runs under coverage on a Python where tracing is
slow; and the number of red tests that are traced again completely, the quickest first."""
LONGEST_TOLD = 200  # characters of the name of a test in a message
LEAST_S = 1.0
"""With less than this left of a run's time, the tests after one that was stopped are not started."""


Functions = Sequence[tuple[str, int, str]]
"""Path, first line (decorators included) and qualified name of functions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes to screen. ``edits``: path, first and last character, and the new text between; ``lengths``: characters
    of each file."""

    edits: Sequence[tuple[str, int, int, str]]
    lengths: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedFor:
    """``files`` and ``functions`` (path, first line, name) for which a run reports whether its tests reach them."""

    files: Sequence[str]
    functions: Functions


Asked = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Time limits in seconds: of the run, of one test (None: the setting), and of single tests."""

    run_s: float
    test_s: float | None
    tests_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TestsMissing:
    """Stands in the place of a runner where the repository's tests cannot be run."""

    __test__: ClassVar = False

    reason: str


class TestRunner:
    """Test runner of a repository; holds the heavy slot during a run."""

    __test__ = False

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        environment: TestEnvironment,
        places: Places,
        settings: TestSettings,
        bounds: SandboxSettings,
        heavy: asyncio.Semaphore,
    ) -> None:
        self._sandbox = sandbox
        self._environment = environment
        self._places = places
        self._settings = settings
        self._bounds = bounds
        self._heavy = heavy
        self._boot = _boot_text()

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
    ) -> TestRun:
        """Run the suite, or ``ids`` (test ids, files, folders), on the files of ``ws``, in a process of its own.

        ``expected`` ids must be among those collected, else the run is INCONCLUSIVE; so must every one of ``ids``.
        Never raises for what the tests do.
        """
        async with self.several(ws) as tests:
            return await tests.run(ids, coverage=coverage, limit_s=limit_s, expected=expected)

    @contextlib.asynccontextmanager
    async def several(self, ws: Workspace) -> AsyncIterator[SeveralRuns]:
        """Several runs on ``ws`` with a single start-up; each run is isolated like a process of its own."""
        async with self.warm(ws, heir=False) as tests:
            yield SeveralRuns(tests, self._heavy)

    @contextlib.asynccontextmanager
    async def warm(self, ws: Workspace, *, heir: bool = True) -> AsyncIterator[WarmTests]:
        """A test process for many runs on ``ws``, whose files may change between them. Needs the heavy slot.

        ``heir``: modules outside the repository that the first run imported are imported once for the later runs.
        """
        process = WarmProcess(
            sandbox=self._sandbox,
            job=lambda talk: self._warm_job(ws, talk, heir=heir),
            report_bytes=self._bounds.report_mb * MIB,
            output_bytes=self._bounds.output_kb * 1024,
        )
        try:
            yield WarmTests(self, ws, process, heir=heir)
        finally:
            await process.close()

    async def module(self, ws: Workspace, name: str, args: Sequence[str], *, limit_s: float) -> Finished:
        """Run a module of the tests' environment (``python -m name args``) on the files of ``ws``, sandboxed."""
        return await self.program(ws, (*self._environment.argv, "-m", name, *args), limit_s=limit_s)

    async def program(self, ws: Workspace, argv: Sequence[str], *, limit_s: float) -> Finished:
        """Run a program in the tests' environment on the files of ``ws``, sandboxed."""
        job = await asyncio.to_thread(self._bare_job, ws, tuple(argv), limit_s)
        async with self._heavy:
            return await self._sandbox.run(job)

    @property
    def heavy(self) -> asyncio.Semaphore:
        """The semaphore for CPU-heavy work."""
        return self._heavy

    def place_of(self, ws: Workspace) -> Path:
        """The path of ``ws`` as seen inside the sandbox."""
        return self._places.repo if self._sandbox.maps_paths else ws.root

    def prepare(self, ws: Workspace) -> None:
        """Put files that the tests need and the sandbox does not mount into the copy (blocking).

        Raises ``SandboxError`` when the environment has changed, or a link in the copy is in the way.
        """
        self.refuse_changed()
        if not self._sandbox.maps_paths:
            _link_needs(self._places.repo, ws.root, self._environment.needs)

    def refuse_changed(self) -> None:
        """Raises ``SandboxError`` when the environment is not, or no longer, one that tests may be run with."""
        trouble = self._environment.trouble()
        if trouble is not None:
            raise SandboxError(trouble)

    async def command(
        self, ws: Workspace, argv: Sequence[str], *, limit_s: float, outputs: Path, spool: int | None
    ) -> tuple[Finished, Path]:
        """Run a command in the tests' environment on the files of ``ws``, sandboxed. The caller holds :attr:`heavy`.

        Output goes to the descriptor ``spool`` too. ``outputs``: a folder that the command may read; its path in the
        sandbox is returned with the result.
        """
        seen = HOME / outputs.name if self._sandbox.maps_paths else outputs
        job = await asyncio.to_thread(self._bare_job, ws, tuple(argv), limit_s)
        readable = Mount(source=outputs, target=seen, ours=True, closed=True)
        job = replace(job, mounts=(*job.mounts, readable), spool=spool)
        return await self._sandbox.run(job), seen

    def _bare_job(self, ws: Workspace, argv: tuple[str, ...], limit: float) -> Job:
        self.refuse_changed()
        environment, repo = self._environment, self._places.repo
        root = self.place_of(ws)
        return Job(
            argv=argv,
            cwd=root,
            mounts=(
                Mount(source=ws.root, target=root, writable=True, ours=True, closed=True),
                *_present(environment.mounts, repo, ws.root),
            ),
            env=self._child_env(),
            timeout_s=limit,
        )

    def limit_s(self, ids: Sequence[str] | None) -> float:
        """Default time limit of a run."""
        return self._settings.suite_s if ids is None else self._settings.scoped_s

    def mounted(self, ws: Workspace) -> tuple[str, ...]:
        """Paths inside the copy that mounts cover."""
        repo = self._places.repo
        mounts = _present(self._environment.mounts, repo, ws.root) if self._sandbox.maps_paths else []
        return tuple(m.target.relative_to(repo).as_posix() for m in mounts if m.target.is_relative_to(repo))

    def judged(
        self, ended: Ended, key: str, expected: Sequence[str], watched: Watch, modules: Collection[str]
    ) -> TestRun:
        """The verdict on a finished run. ``modules``: plugins that it had besides the reporter."""
        run = judge(
            ended.finished,
            key=key,
            expected=expected,
            output_chars=self._settings.output_chars,
            hung=ended.hung,
            watched=watched,
            told=BASIC.union(*(BESIDES[name] for name in modules)),
        )
        return no_sockets.with_reason(run)

    def _child_env(self) -> dict[str, str]:
        """Variables of the child. No byte code: after two changes within a second it would be stale."""
        prefix = self._environment.prefix
        env = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": f"{prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin"}
        if prefix != Path("/usr"):
            env["VIRTUAL_ENV"] = str(prefix)
        return env

    def _warm_job(self, ws: Workspace, talk: Talk, *, heir: bool) -> Job:
        self.refuse_changed()
        environment, repo = self._environment, self._places.repo
        mapped = self._sandbox.maps_paths
        root, start = repo if mapped else ws.root, ws.folder / "start"
        start.mkdir(mode=0o700, exist_ok=True)
        for name in _CUSTOM:
            (start / f"{name}.py").touch()
        seen = _START if mapped else start
        return Job(
            argv=(*environment.argv, "-c", _BOOT),
            cwd=root,
            mounts=(
                Mount(source=ws.root, target=root, writable=True, ours=True, closed=True),
                Mount(source=start, target=seen, ours=True, closed=True),
                *_present(environment.mounts, repo, ws.root),
            ),
            env=self._child_env() | {"PYTHONPATH": str(seen)} | (STEADY if heir else {}),
            timeout_s=None,
            stdin=self._boot,
            report_env=REPORT_ENV,
            talk=talk,
        )

    def order(
        self,
        ws: Workspace,
        ids: Sequence[str],
        *,
        coverage: bool,
        key: str,
        limits: Limits,
        others: Mapping[str, Asked],
        heir: bool,
    ) -> bytes:
        """The order for one run, one line. Prepares the copy (see :meth:`prepare`)."""
        environment, repo, mapped = self._environment, self._places.repo, self._sandbox.maps_paths
        settings = self._settings
        self.prepare(ws)
        orders = {
            "key": key,
            "roots": environment.roots,
            "names": layout.project_names(ws.root, environment.roots),
            "foreign": [str(environment.prefix)],
            "checkout": None if mapped else str(repo),
            "coverage": {**_module(_TRACE), "events": None if ids else EVENTS} if coverage else None,
            "others": [{**_module(name), "asked": asked} for name, asked in others.items()],
            "wanted": list(ids),
            "targets": list(dict.fromkeys(test.partition("::")[0] for test in ids)),
            "args": list(settings.args),
        }
        bounds = {
            "heir": heir,
            "limit_s": limits.run_s,
            "test_limit_s": min(limits.test_s or settings.test_s, limits.run_s / 2),
            "test_limits_s": {test: min(limit, limits.run_s / 2) for test, limit in limits.tests_s.items()},
            "output_bytes": self._bounds.output_kb * 1024,
            "flood_bytes": self._bounds.flood_mb * MIB,
            "report_bytes": self._bounds.report_mb * MIB,
        }
        return json.dumps({"orders": orders, **bounds}).encode("ascii") + b"\n"


class WarmTests:
    """The tests of one workspace, with a warm process. One run at a time."""

    def __init__(self, runner: TestRunner, ws: Workspace, process: WarmProcess, *, heir: bool) -> None:
        self._runner, self._ws, self._process, self._heir = runner, ws, process, heir

    async def start(self) -> None:
        """Start the process before the first order is known."""
        if self._runner.environment.problem is None:
            with contextlib.suppress(SandboxError):  # the run raises it again
                await self._process.start()

    async def reset(self) -> None:
        """Restore the commit's files but keep the process's mounts, which :meth:`Workspace.reset` alone removes."""
        await self._ws.reset(await asyncio.to_thread(self._runner.mounted, self._ws))

    async def run(
        self,
        ids: Sequence[str] | None = None,
        *,
        coverage: bool = False,
        limit_s: float | None = None,
        expected: Sequence[str] | None = None,
        test_s: float | None = None,
        limits: Mapping[str, float] | None = None,
        to_the_end: bool = True,
        probe: Functions = (),
        looked_for: LookedFor | None = None,
    ) -> TestRun:
        """See :meth:`TestRunner.run`. Time limits of single tests: ``limits``, else ``test_s`` (None: the setting).

        The functions of ``probe`` are also called with other inputs where the tests call them; neither the results nor
        the observations of ``looked_for`` affect the verdict.

        A test that is stopped at its limit is red, and the tests after it run in a new process, unless ``to_the_end``
        is false.
        """
        runner = self._runner
        if runner.environment.problem is not None:
            return TestRun(status=RunStatus.INFRA, reason=runner.environment.problem)
        if ids is not None and not ids:
            return TestRun(status=RunStatus.INCONCLUSIVE, reason="No test was asked for.")
        limit = limit_s if limit_s is not None else runner.limit_s(ids)
        ids = _placed(ids) if ids is not None else None
        gone = await asyncio.to_thread(_absent, self._ws.root, [test.partition("::")[0] for test in ids or ()])
        if gone:
            lost = [test for test in ids or () if test.partition("::")[0] in gone]
            why = f"{lost[0][:LONGEST_TOLD]} is not there any more: its file is gone."
            return TestRun(status=RunStatus.INCONCLUSIVE, reason=why)
        bounds = Limits(run_s=limit, test_s=test_s, tests_s=limits or {})
        others: dict[str, Asked] = {_PROBE: {"functions": list(probe)}} if probe else {}
        if looked_for is not None:
            others[_ENTERED] = {"files": list(looked_for.files), "functions": list(looked_for.functions)}
        run = await self._once(ids or (), coverage, bounds, expected or (), others)
        while to_the_end and (left := _left(run)):
            bounds = replace(bounds, run_s=limit - run.duration_ms / 1000)
            if bounds.run_s < LEAST_S:
                return run.model_copy(update={"status": RunStatus.TIMEOUT, "reason": f"{run.reason} No time was left."})
            run = join_runs(run, await self._once(left, coverage, bounds, left))
        return await self._traced_whole(run, limit) if coverage and ids is None else run

    async def _traced_whole(self, run: TestRun, limit_s: float) -> TestRun:
        """The run with complete coverage of red tests that were cut, as far as they are red again."""
        known, left_s = set(run.cut), limit_s - run.duration_ms / 1000
        again = [r.id for r in sorted(run.red, key=lambda r: r.duration_ms) if r.id in known][:WHOLE]
        if not again or left_s < LEAST_S:
            return run
        seen = await self._once(again, True, Limits(run_s=left_s, test_s=None, tests_s={}), again)
        red = {r.id for r in seen.red} & seen.coverage.keys()
        coverage = {**run.coverage, **{test: seen.coverage[test] for test in red}}
        return run.model_copy(update={"coverage": coverage, "cut": tuple(t for t in run.cut if t not in red)})

    async def screen(self, ids: Sequence[str], changes: Changes, *, limit_s: float) -> Mapping[int, frozenset[str]]:
        """Which of the failing ``ids`` seem to pass with each change, by the change's position.

        No verdict, but quick: the program is loaded once, see ``_ouro_screen.py``. Undecided changes are left out.
        """
        until = {"until_s": limit_s * SCREEN_SHARE}
        asked: Asked = {"edits": list(changes.edits), "lengths": dict(changes.lengths), **until}
        run = await self._once(ids, False, Limits(run_s=limit_s, test_s=None, tests_s={}), (), {_SCREEN: asked})
        return run.screened

    async def _once(
        self,
        ids: Sequence[str],
        coverage: bool,
        limits: Limits,
        expected: Sequence[str],
        others: Mapping[str, Asked] | None = None,
    ) -> TestRun:
        runner, key = self._runner, secrets.token_hex(16)
        watched = UNWATCHED  # a search's runs give no verdict
        if not self._heir:
            watched = await asyncio.to_thread(watch, self._ws, ids, compared=bool(ids) and not coverage)
        others = {**(others or {}), **watched.plugins}
        try:
            order = await asyncio.to_thread(
                runner.order, self._ws, ids, coverage=coverage, key=key, limits=limits, others=others, heir=self._heir
            )
            ended = await self._process.run(order, limit_s=limits.run_s)
        except (SandboxError, ChildFailed) as error:
            return TestRun(status=RunStatus.INFRA, reason=str(error))
        # A big report takes a while to read: not on the event loop.
        modules = (*others, *((_TRACE,) if coverage else ()))
        return await asyncio.to_thread(runner.judged, ended, key, tuple(expected), watched, modules)


class SeveralRuns:
    """Runs that take the heavy slot one by one."""

    def __init__(self, tests: WarmTests, heavy: asyncio.Semaphore) -> None:
        self._tests, self._heavy = tests, heavy

    async def start(self) -> None:
        """See :meth:`WarmTests.start`. Takes no slot, because it is short."""
        await self._tests.start()

    async def reset(self) -> None:
        """See :meth:`WarmTests.reset`."""
        await self._tests.reset()

    async def run(
        self,
        ids: Sequence[str] | None = None,
        *,
        coverage: bool = False,
        limit_s: float | None = None,
        expected: Sequence[str] | None = None,
        looked_for: LookedFor | None = None,
    ) -> TestRun:
        """See :meth:`WarmTests.run`."""
        async with self._heavy:
            return await self._tests.run(
                ids, coverage=coverage, limit_s=limit_s, expected=expected, looked_for=looked_for
            )


def _left(run: TestRun) -> tuple[str, ...]:
    """Tests without a result after one that was stopped; none for other runs."""
    if run.status is not RunStatus.RED or run.results[-1].exception != TIME_LIMIT:
        return ()
    done = {result.id for result in run.results}
    return tuple(test for test in dict.fromkeys(run.collected) if test not in done)


def _boot_text() -> bytes:
    data = json.dumps({"worker": _text(_WORKER), "plugin": _text(_PLUGIN), "name": _PLUGIN}).encode("ascii")
    return b"%08x" % len(data) + data


def _module(name: str) -> dict[str, str]:
    """Name and text of a plugin that is sent with an order."""
    return {"name": name, "text": _text(name)}


@functools.cache
def _text(name: str) -> str:
    return resources.files(_PLUGINS).joinpath(f"{name}.py").read_text(encoding="utf-8")


def _placed(ids: Sequence[str]) -> tuple[str, ...] | None:
    """pytest's arguments; None for everything (all tests need a conftest at the top)."""
    places = tuple(dict.fromkeys(place_of(test) for test in ids))
    return places if all(places) else None


def _absent(root: Path, targets: Sequence[str]) -> frozenset[str]:
    return frozenset(target for target in targets if not (root / target).exists())


def _present(mounts: Sequence[Mount], repo: Path, root: Path) -> list[Mount]:
    """Mounts whose source exists, without those that would hide a file of the copy itself.

    Empty files do not count (a sandbox leaves them where it mounted something), nor do our own links.
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
    """Link ignored files that the tests need into the copy, for a sandbox that cannot mount.

    Raises ``SandboxError`` when a test has put a link in the way, which must not be followed.
    """
    for path in needs:
        try:
            contained.lay_link(root, path, repo / path)
        except PolicyRefused as error:
            raise SandboxError(
                f"The ignored file {path!r} cannot be put into the copy for the tests: an earlier test has left "
                f"a link in the way ({error.message}).",
                remedy="Look at what the tests of this repository do to their own folders.",
            ) from error
