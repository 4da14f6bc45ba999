"""The scene of a failure: what fails and how, the suspicious lines, and the files that they stand in."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from governance.crew import Crew
from governance.irongate.paths import is_test_path
from governance.repair.edits import decode, edit_of
from governance.repair.prompt import Example
from governance.repair.spans import Source
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EntryKind, Operation, RunStatus, State, TestResult, TestRun
from tools.edits.diffs import HUNK
from tools.testing.localise import Suspicion, rank
from tools.testing.names import stands_for
from tools.workspace import Workspace

MAX_PLACES = 48
VERDICTS = frozenset({RunStatus.GREEN, RunStatus.RED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Frozen facts that the search works on. ``originals`` are the bytes at the op's tree."""

    title: str
    failing: tuple[TestResult, ...]
    base: TestRun
    places: tuple[Suspicion, ...]
    sources: Mapping[str, Source]
    shapes: Mapping[str, str]
    originals: Mapping[str, bytes]
    modes: Mapping[str, int]
    examples: tuple[Example, ...]

    @property
    def reads(self) -> dict[str, str]:
        """sha256 of every file that the search reads, for the staleness gate."""
        return {path: sha256_hex(data) for path, data in self.originals.items()}

    @property
    def test_files(self) -> frozenset[str]:
        """Files of the failing tests."""
        return frozenset(r.id.partition("::")[0] for r in self.failing)

    @property
    def said(self) -> str:
        """What the failing tests say: their sources and their messages."""
        return "\n".join(f"{e.source}\n{e.result.message}" for e in self.examples)

    def edit(self, path: str, text: str, rationale: str) -> Edit:
        """The modification that makes ``path`` read ``text``."""
        return edit_of(self.originals[path], path, text, rationale, mode=self.modes[path])


def changed_lines(diff: str) -> dict[str, frozenset[int]]:
    """Line numbers on the new side of a ``-U0`` diff with the prefixes ``a/`` and ``b/``, by file.

    A file whose name git has to quote is left out.
    """
    found: dict[str, set[int]] = {}
    path, content = "", 0
    for line in diff.split("\n"):
        if content > 0 and line[:1] in ("+", "-"):  # of a hunk: may look like anything
            content -= 1
        elif line.startswith("+++ "):
            path = line[6:] if line.startswith("+++ b/") else ""
        elif (match := HUNK.match(line)) is not None:
            old, start, new = int(match[2] or "1"), int(match[3]), int(match[4] or "1")
            content = old + new
            if path:
                found.setdefault(path, set()).update(range(start, start + max(new, 1)))
    return {path: frozenset(lines) for path, lines in found.items()}


async def recent_changes(op: Operation, crew: Crew, paths: frozenset[str]) -> dict[str, frozenset[int]]:
    """Lines that the commit which turned the tests red has changed, by file."""
    parent = await crew.shop.repository.parent(op.base)
    if parent is None or not paths:
        return {}
    result = await crew.shop.git.call(
        "diff", "--no-ext-diff", "--no-textconv", "--no-renames", "-U0", "--src-prefix=a/", "--dst-prefix=b/",
        parent, op.tree, "--", *(f":(literal){path}" for path in sorted(paths)),
    )  # fmt: skip
    return changed_lines(result.out.decode("utf-8", errors="replace"))


def test_source(source: Source, test_id: str) -> str:
    """The text of the test function that ``test_id`` names; empty when it cannot be found."""
    name = test_id.rpartition("::")[2].partition("[")[0]
    for node in ast.walk(source.tree) if source.tree else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return "".join(source.lines[node.lineno - 1 : node.end_lineno])
    return ""


def examples_of(failing: tuple[TestResult, ...], workspace: Workspace) -> tuple[Example, ...]:
    """Failing tests with their sources, shortest first: a short example says most in a small prompt."""
    found = []
    for result in failing:
        data = workspace.read(result.id.partition("::")[0])
        text = data.decode("utf-8", errors="replace") if data is not None else ""
        found.append(Example(test_id=result.id, source=test_source(Source(text), result.id), result=result))
    return tuple(sorted(found, key=lambda e: (not e.source, len(e.source))))


async def set_scene(
    op: Operation,
    crew: Crew,
    workspace: Workspace,
    base: TestRun,
    failing: tuple[TestResult, ...],
) -> Scene:
    """Localise, and read what the suspicious lines stand in. ``base`` is the run before any change, with coverage."""
    executed = {p for by_file in base.coverage.values() for p in by_file}
    executed |= {f.path for r in failing for f in r.frames}
    recent = await recent_changes(op, crew, frozenset(executed))
    scene = await asyncio.to_thread(look, workspace, base, failing, recent)
    await crew.record.note(
        EntryKind.TOOL,
        "localised",
        phase=State.GENERATE,
        lines=sum(len(v) for t in base.coverage.values() for v in t.values()),
        places=[[p.path, p.line, p.score_bp, p.why] for p in scene.places[:8]],
    )
    return scene


def look(
    workspace: Workspace,
    base: TestRun,
    failing: tuple[TestResult, ...],
    recent: Mapping[str, frozenset[int]],
) -> Scene:
    """Rank the lines, read and parse their files. Takes a second with thousands of files: for a thread."""
    originals: dict[str, bytes] = {}
    sources: dict[str, Source] = {}
    places = []
    for place in rank(base, [r.id for r in failing], recent=recent):
        if is_test_path(place.path) or not place.path.endswith(".py"):
            continue
        if place.path not in originals:
            data = workspace.read(place.path)
            text = decode(data) if data is not None else None
            if data is None or text is None:
                continue
            originals[place.path], sources[place.path] = data, Source(text)
        if place.line <= len(sources[place.path].lines):
            places.append(place)
    modes = {p: (workspace.root / p).stat().st_mode & 0o777 for p in originals}
    return Scene(
        title=failing[0].id if len(failing) == 1 else f"{len(failing)} tests",
        failing=failing,
        base=base,
        places=tuple(places[:MAX_PLACES]),
        sources=sources,
        shapes={p: ast.dump(s.tree) if s.tree else "" for p, s in sources.items()},
        originals=originals,
        modes=modes,
        examples=examples_of(failing, workspace),
    )


def unknown_of(op: Operation, run: TestRun) -> tuple[str, ...]:
    """Those of the op's tests of which a run says nothing. Pure."""
    return tuple(test for test in op.test_ids if not any(stands_for(test, result.id) for result in run.results))


async def reproduce(op: Operation, crew: Crew, *, coverage: bool) -> tuple[TestRun, tuple[TestResult, ...]]:
    """The suite at the op's tree, and those of the op's tests that fail in it.

    When the whole suite does not fit in its budget, only the op's tests are run.
    """
    shop = crew.shop
    if shop.runner is None:
        raise RuntimeError("reproduce needs a test runner")
    limit = shop.settings.pipeline.suite_budget_s
    run = await shop.baselines.get(shop.runner, op.tree, owner=op.id, coverage=coverage, limit_s=limit)
    if run.status not in VERDICTS or unknown_of(op, run):
        async with crew.workspace(op) as workspace:
            run = await shop.runner.run(workspace, op.test_ids, coverage=coverage, limit_s=limit)
    failing = tuple(r for r in run.red if any(stands_for(test, r.id) for test in op.test_ids))
    first = failing[0] if failing else None
    gone = run.status in VERDICTS and not failing and not unknown_of(op, run)  # other tests may be red: not our matter
    await crew.record.note(
        EntryKind.RUN,
        "reproduced",
        phase=State.GENERATE,
        status=(RunStatus.GREEN if gone else run.status).value,
        reason="" if gone else run.reason,
        failing=[r.id for r in failing],
        total=len(run.results),
        ms=run.duration_ms,
        exception=first.exception if first else "",
        message=first.message if first else "",
        frames=[[f.path, f.line, f.function] for f in first.frames[-3:]] if first else [],
    )
    return run, failing
