"""Test ports that really run tests on a checked-out commit, in a child: with pytest and a small reporting plugin, or
(ten times quicker to start) with a plain script that calls the test functions and reports in the same form."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ledger.vocabulary import Frame, Outcome, RunStatus, TestResult, TestRun
from tools.git import Git
from tools.process import Command, run

PLUGIN = """
import json, os
root, out = os.environ["DOOR_ROOT"], os.environ["DOOR_OUT"]
tests, collected = {}, []

def inside(path):
    whole = os.path.normpath(os.path.join(root, str(path)))
    return os.path.relpath(whole, root) if whole.startswith(root + os.sep) else None

def note(report):
    if report.nodeid in tests and not report.failed:
        return
    crash = getattr(report.longrepr, "reprcrash", None)
    entries = getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", [])
    places = [e.reprfileloc for e in entries if getattr(e, "reprfileloc", None)]
    message = crash.message if crash else str(report.longrepr or "")
    kind = message.split(":")[0].split("\\n")[0] if report.failed else ""
    if report.failed and not kind.isidentifier():
        kind = "AssertionError" if message.startswith("assert") else "CollectError"
    outcome = {"passed": "passed", "skipped": "skipped"}.get(report.outcome, "failed")
    if report.failed and report.when != "call":
        outcome = "error"
    tests[report.nodeid] = {
        "id": report.nodeid, "outcome": outcome, "exception": kind, "message": message,
        "frames": [{"path": inside(p.path), "line": p.lineno, "function": ""} for p in places if inside(p.path)],
    }

def pytest_collection_finish(session):
    collected.extend(item.nodeid for item in session.items)

def pytest_collectreport(report):
    if report.failed:
        report.when = "collect"
        note(report)

def pytest_runtest_logreport(report):
    if report.when == "call" or report.failed or report.skipped:
        note(report)

def pytest_sessionfinish(session, exitstatus):
    with open(out, "w") as file:
        json.dump({"exit": int(exitstatus), "collected": collected, "tests": list(tests.values())}, file)
"""

PLAIN = """
import glob, json, os, sys, traceback
root, out, asked = os.environ["DOOR_ROOT"], os.environ["DOOR_OUT"], sys.argv[1:]
sys.path.insert(0, root)
tests = []
for path in sorted(glob.glob("test_*.py")):
    space = {"__name__": path[:-3], "__file__": os.path.join(root, path)}
    exec(compile(open(path).read(), os.path.join(root, path), "exec"), space)
    for name, function in list(space.items()):
        test = {"id": path + "::" + name, "outcome": "passed", "exception": "", "message": "", "frames": []}
        if not name.startswith("test_") or (asked and test["id"] not in asked):
            continue
        try:
            function()
        except Exception as error:
            inside = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(root + os.sep)]
            frames = [{"path": os.path.relpath(f.filename, root), "line": f.lineno, "function": f.name} for f in inside]
            test.update(outcome="failed", exception=type(error).__name__, message=str(error), frames=frames)
        tests.append(test)
json.dump({"exit": 0, "collected": [t["id"] for t in tests], "tests": tests}, open(out, "w"))
"""


class PytestDoor:
    """Runs the suite for real and remembers what it was asked."""

    plain = False

    def __init__(self, git: Git, base: Path, *, timeout_s: float = 30.0) -> None:
        self._git = git
        self._base = base
        self._timeout_s = timeout_s
        self.asked: list[tuple[str, tuple[str, ...] | None]] = []
        self.cancelled = 0
        self.readied: list[str | None] = []  # None: let go
        self.started = asyncio.Event()
        base.mkdir(parents=True, exist_ok=True)
        (base / "door_plugin.py").write_text(PLUGIN)
        (base / "plain.py").write_text(PLAIN)

    async def run(self, commit: str, ids: Sequence[str] | None = None) -> TestRun:
        self.asked.append((commit, None if ids is None else tuple(ids)))
        self.started.set()
        try:
            return await self._run(commit, ids)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def _run(self, commit: str, ids: Sequence[str] | None) -> TestRun:
        with tempfile.TemporaryDirectory(dir=self._base) as folder:
            root = Path(folder) / "tree"
            archive = (await self._git.call("archive", "--format=tar", commit)).out
            await asyncio.to_thread(self._unpack, archive, root)
            out = Path(folder) / "out.json"
            env = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self._base),
                "DOOR_ROOT": str(root),
                "DOOR_OUT": str(out),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            }
            options = ("-q", "-p", "door_plugin", "-p", "no:cacheprovider", "--rootdir", str(root))
            argv = (sys.executable, "-m", "pytest", *options, *(ids or ()))
            if self.plain:
                argv = (sys.executable, "-S", "-E", str(self._base / "plain.py"), *(ids or ()))
            done = await run(Command(argv=argv, cwd=root, env=env, timeout_s=self._timeout_s))
            if done.timed_out:
                return TestRun(status=RunStatus.TIMEOUT, reason=f"they ran longer than {self._timeout_s:g} s")
            if not out.exists():
                return TestRun(status=RunStatus.INFRA, reason="pytest did not start", output=done.output.decode())
            return self._read(json.loads(out.read_text()))

    async def prepare(self, commit: str) -> None:
        self.readied.append(commit)

    async def discard_prepared(self) -> None:
        self.readied.append(None)

    @staticmethod
    def _unpack(archive: bytes, root: Path) -> None:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(root, filter="data")

    @staticmethod
    def _read(told: dict[str, object]) -> TestRun:
        listed = told["tests"]
        assert isinstance(listed, list)
        results = tuple(
            TestResult(
                id=t["id"],
                outcome=Outcome(t["outcome"]),
                exception=t["exception"],
                message=t["message"],
                frames=tuple(Frame(**frame) for frame in t["frames"]),
            )
            for t in listed
        )
        collected = told["collected"]
        assert isinstance(collected, list)
        if not results:
            return TestRun(status=RunStatus.INCONCLUSIVE, reason="no tests were collected")
        red = any(r.outcome.red for r in results)
        return TestRun(
            status=RunStatus.RED if red else RunStatus.GREEN,
            reason="some tests are red" if red else "",
            collected=tuple(collected),
            results=results,
        )


class PlainDoor(PytestDoor):
    """The quick one."""

    plain = True
