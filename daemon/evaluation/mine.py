"""Tasks from a repository's own history: commits that mended code and its tests, red before and green after."""

from __future__ import annotations

import ast
import asyncio
import random
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.evaluation.judge import Tools
from daemon.evaluation.tasks import TaskFile
from governance.irongate.paths import is_python, is_test_path
from governance.repair.reproduce import VERDICTS
from governance.repair.spans import Function, first_line
from governance.verification.evidence import function_of
from ledger.python_source import parse_or_why
from ledger.vocabulary import TestRun
from tools import contained
from tools.repository import Repository
from tools.workspace import Workspace

MOST_FILES = 4


@dataclass(frozen=True, slots=True)
class Mined:
    """One commit that was looked at. ``why`` it made no task; empty when it did."""

    commit: str
    title: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """A commit that changed code and tests."""

    commit: str
    parent: str
    title: str
    code: tuple[str, ...]
    tests: tuple[str, ...]


class Mine:
    """Looks through the history of one repository, newest first."""

    def __init__(self, tools: Tools, out: Path) -> None:
        self._tools, self._out = tools, out
        self._repository = Repository(tools.git)

    async def dig(self, last: int) -> AsyncIterator[Mined]:
        """Write a task for each of the ``last`` commits that makes one. Tests run in the sandbox."""
        listed = await self._tools.git.call("log", "--no-merges", f"-n{last}", "--format=%H %P%x09%s")
        for line in listed.text.splitlines():
            ids, _, title = line.partition("\t")
            commit, *parents = ids.split()
            if len(parents) == 1:
                changed = await self._repository.changed_between(parents[0], commit)
                fix = Fix(
                    commit,
                    parents[0],
                    title,
                    code=tuple(path for path in changed if is_python(path) and not is_test_path(path)),
                    tests=tuple(path for path in changed if is_python(path) and is_test_path(path)),
                )
                if fix.code and fix.tests:
                    yield Mined(commit, title, await self._task(fix))

    async def _task(self, fix: Fix) -> str:
        """Write the task; returns why there is none."""
        if len(fix.code) > MOST_FILES:
            return f"it changed {len(fix.code)} files of code"
        tests = await self._repository.read_many(fix.commit, fix.tests)
        if not tests:
            return "it removed its tests"
        after, _ = await self._run(fix.commit, fix.commit, tests)
        if after.status not in VERDICTS:
            return f"after it: {after.reason}"
        before, tree = await self._run(fix.parent, fix.commit, tests)
        try:
            if before.status not in VERDICTS:
                return f"before it: {before.reason}"
            passed = {r.id for r in after.results if not r.outcome.red}
            red = {r.id for r in before.red if r.id in passed}
            if not red:
                return "no test of it was red before and green after"
            await asyncio.to_thread(self._write, fix, tests, tree, red, after)
            return ""
        finally:
            await asyncio.to_thread(shutil.rmtree, tree, True)

    async def _run(self, tree: str, commit: str, tests: dict[str, bytes]) -> tuple[TestRun, Path]:
        """The tests of ``commit`` on the files of ``tree``; and a copy of what they ran on."""
        workspace = await self._tools.workspaces.acquire("mine", tree)
        copy = workspace.folder.with_name(f"{workspace.folder.name}-copy")
        try:
            await asyncio.to_thread(_lay, workspace, tests)
            if tree != commit:
                await asyncio.to_thread(shutil.copytree, workspace.root, copy, symlinks=True)
            return await self._tools.runner.run(workspace, sorted(tests)), copy
        finally:
            await self._tools.workspaces.release(workspace)

    def _write(self, fix: Fix, tests: dict[str, bytes], tree: Path, red: set[str], after: TestRun) -> None:
        place = self._out / fix.commit[:12]
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(tree, place / "repo", symlinks=True)
        hidden = half_of(red, fix.commit)
        for path, names in by_file(hidden).items():
            oracle = place / "oracle" / path
            oracle.parent.mkdir(parents=True, exist_ok=True)
            oracle.write_bytes(tests[path])
            text = tests[path].decode("utf-8")
            (place / "repo" / path).write_text(without(text, names), encoding="utf-8")
        about = TaskFile(
            red=tuple(sorted({function_of(test) for test in red})),
            kind="history",
            known_red=tuple(sorted({function_of(r.id) for r in after.red})),
            python=_environment_of(self._tools.runner.environment.prefix),
        )
        (place / "task.json").write_text(about.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _lay(workspace: Workspace, tests: dict[str, bytes]) -> None:
    for path, data in tests.items():
        contained.write_file(workspace.root, path, data, 0o644)


def _environment_of(prefix: Path) -> str | None:
    """The environment's folder; None for an installation, which is found again as it was: a task names no program."""
    return str(prefix) if (prefix / "pyvenv.cfg").is_file() else None


def half_of(tests: Collection[str], seed: str) -> frozenset[str]:
    """Half of the test functions, to be hidden; at least one is left to be shown. Same seed, same half."""
    rows = sorted({function_of(test) for test in tests})
    random.Random(seed).shuffle(rows)
    return frozenset(rows[: len(rows) // 2])


def by_file(tests: Iterable[str]) -> dict[str, set[str]]:
    """File to the functions in it (``Class::function``)."""
    found: dict[str, set[str]] = defaultdict(set)
    for test in tests:
        file, _, name = test.partition("::")
        found[file].add(name)
    return dict(found)


def without(source: str, names: Collection[str]) -> str:
    """A test file without the named functions (``Class::function``); a class that is left empty keeps ``pass``.

    Raises ``SyntaxError`` for text that does not parse.
    """
    tree, lines = parse_or_why(source), source.splitlines(keepends=True)
    if isinstance(tree, str):
        raise SyntaxError(tree)
    bodies: Mapping[str, list[ast.stmt]] = {
        "": tree.body,
        **{f"{n.name}::": n.body for n in tree.body if isinstance(n, ast.ClassDef)},
    }
    gone: list[tuple[int, int, str]] = []
    for prefix, body in bodies.items():
        chosen = [node for node in body if isinstance(node, Function) and f"{prefix}{node.name}" in names]
        for number, node in enumerate(chosen):
            first = first_line(node)
            empty = bool(prefix) and len(chosen) == len(body) and number == 0
            gone.append((first, node.end_lineno or first, f"{' ' * node.col_offset}pass\n" if empty else ""))
    for first, last, instead in sorted(gone, reverse=True):
        lines[first - 1 : last] = [instead] if instead else []
    return "".join(lines)
