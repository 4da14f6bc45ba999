"""Fault localisation: lines ranked by suspicion. Pure.

The score of a line in basis points is the sum of these signs with fixed weights:

* **spectrum** (6000): Ochiai over per-test line coverage, ``ef / sqrt(F * (ef + ep))`` with ``ef``/``ep`` the failing
  and passing tests that ran the line and ``F`` all failing ones. It also works when every test fails.
* **traceback** (2500): nearness to the frame where a failing test broke. The deepest frame outside the tests gets
  the full weight, each outer frame half of the one before, a line within three lines a quarter of its frame's.
* **recent** (1500): the line was changed since the tests last passed.
* **import** (at most 1800): module-level assignments, and functions called at import, run once and have no per-test
  coverage: they count as run by every test, at three tenths of the spectrum's weight.
* **flow** (400, and 100 more for each call in between, at most 1000): values of the failing statement are computed
  there (``tools.testing.localisation.flow``). It mostly decides among lines that are equally suspicious by coverage;
  lines deeper in the call chain come first, since functions that a test calls directly are mostly glue.
* **missing** (1000): when a name cannot be imported, or a module lacks an attribute, the definitions of that module:
  one of them may have had that name.

Without coverage the first sign is absent. If there is no other sign either, functions named in the output of failing
tests get 1000. Test files are left out unless they are all there is.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ledger.python_source import parse
from ledger.vocabulary import Frozen, TestResult, TestRun
from tools.testing.localisation.flow import trace_values
from tools.testing.localisation.missing import definition_lines, files_of, modules_of
from tools.testing.report.verdict import IMPORT_TIME
from tools.testing.selection.names import is_test_side

SPECTRUM_BP, TRACEBACK_BP, RECENT_BP, NAMED_BP = 6_000, 2_500, 1_500, 1_000
FLOW_BP, STEP_BP = 400, 100
_IMPORT_SHARE, _NEIGHBOUR_SHARE, _NEIGHBOURS = 0.3, 0.25, 3

_Place = tuple[str, int]


class Suspicion(Frozen):
    """One line, how suspicious it is, and why (for a person and for a prompt)."""

    path: str
    line: int
    score_bp: int
    why: str


@dataclass(slots=True)
class _Score:
    bp: float = 0.0
    why: list[str] = field(default_factory=list)

    def add(self, bp: float, why: str) -> None:
        self.bp += bp
        self.why.append(why)


def rank(
    run: TestRun,
    failing: Collection[str],
    *,
    recent: Mapping[str, Collection[int]] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> tuple[Suspicion, ...]:
    """Suspicious lines, best first.

    ``failing`` are the ids to explain. ``recent`` maps a path to the lines that changed since the tests last passed.
    ``files`` (path to source) is optional: with it, the signs import, flow and missing, and functions
    named in the output, are ranked too.
    """
    red = [result for result in run.results if result.id in failing and result.outcome.red]
    trees = {path: _parse_or_empty(data) for path, data in (files or {}).items() if path.endswith(".py")}
    scores: dict[_Place, _Score] = {}
    _add_spectrum(scores, run, {result.id for result in red})
    _add_import(scores, run, {result.id for result in red}, trees)
    _add_traceback(scores, red)
    _add_recency(scores, recent or {}, bool(run.coverage))
    _add_flow(scores, run, red, trees)
    _add_missing(scores, red, trees)
    if not any(not is_test_side(path) for path, _ in scores):
        _add_named(scores, red, trees)
    source = {place: score for place, score in scores.items() if not is_test_side(place[0])}
    ranked = (
        Suspicion(path=path, line=line, score_bp=min(10_000, round(score.bp)), why="; ".join(score.why))
        for (path, line), score in (source or scores).items()
    )
    return tuple(sorted((s for s in ranked if s.score_bp > 0), key=lambda s: (-s.score_bp, s.path, s.line)))


def ochiai(failed: int, passed: int, all_failed: int) -> float:
    """Suspicion (0 to 1) of a line run by ``failed`` of ``all_failed`` failing tests and ``passed`` passing ones."""
    if not failed or not all_failed:
        return 0.0
    return failed / math.sqrt(all_failed * (failed + passed))


def _places(coverage: Mapping[str, Collection[int]]) -> Iterable[_Place]:
    return ((path, line) for path, lines in coverage.items() for line in lines)


def _add_spectrum(scores: dict[_Place, _Score], run: TestRun, failing: Collection[str]) -> None:
    passing = {r.id for r in run.results if not r.outcome.red} & run.coverage.keys()
    failed: dict[_Place, int] = {}
    passed: dict[_Place, int] = {}
    for test, coverage in run.coverage.items():
        count = failed if test in failing else passed if test in passing else {}
        for place in _places(coverage):
            count[place] = count.get(place, 0) + 1
    total = len(failing & run.coverage.keys())
    for place, count_failed in failed.items():
        count_passed = passed.get(place, 0)
        why = f"run by {count_failed} of {total} failing and {count_passed} of {len(passing)} passing tests"
        scores.setdefault(place, _Score()).add(SPECTRUM_BP * ochiai(count_failed, count_passed, total), why)


def _add_import(
    scores: dict[_Place, _Score], run: TestRun, failing: Collection[str], trees: Mapping[str, ast.Module]
) -> None:
    imported = run.coverage.get(IMPORT_TIME, {})
    reached = {path for test in failing for path in run.coverage.get(test, {})}
    share = ochiai(len(failing), sum(not r.outcome.red for r in run.results), len(failing)) * _IMPORT_SHARE
    for path in imported.keys() & trees.keys():
        factor = 1.0 if path in reached else 0.5
        for line in lines_at_import(trees[path]) & set(imported[path]):
            if (path, line) not in scores:
                scores[path, line] = _Score()
                scores[path, line].add(SPECTRUM_BP * share * factor, "run while its module was imported")


def _add_traceback(scores: dict[_Place, _Score], red: Collection[TestResult]) -> None:
    best: dict[_Place, tuple[float, str]] = {}
    for result in red:
        frames = [frame for frame in result.frames if not is_test_side(frame.path)] or list(result.frames)
        for depth, frame in enumerate(reversed(frames)):
            share = 0.5**depth
            for away in range(-_NEIGHBOURS, _NEIGHBOURS + 1):
                place = (frame.path, frame.line + away)
                if away and place not in scores:  # a neighbour must be a line that ran
                    continue
                weight = share * (_NEIGHBOUR_SHARE if away else 1.0)
                why = f"near line {frame.line} of the traceback" if away else f"in the traceback, in {frame.function}()"
                if weight > best.get(place, (0.0, ""))[0]:
                    best[place] = (weight, why)
    for place, (weight, why) in best.items():
        scores.setdefault(place, _Score()).add(TRACEBACK_BP * weight, why)


def _add_recency(scores: dict[_Place, _Score], recent: Mapping[str, Collection[int]], covered: bool) -> None:
    for place in _places(recent):
        # With coverage, a changed line counts only if a failing test ran it; without, every changed line does.
        if place in scores or not covered:
            scores.setdefault(place, _Score()).add(RECENT_BP, "changed since the tests last passed")


def _add_flow(
    scores: dict[_Place, _Score], run: TestRun, red: Collection[TestResult], trees: Mapping[str, ast.Module]
) -> None:
    for place, steps in trace_values(red, run.coverage, trees).items():
        if place in scores:
            why = f"values of the failing statement are computed here, {steps} calls away"
            scores[place].add(FLOW_BP + STEP_BP * steps, why)


def _add_missing(scores: dict[_Place, _Score], red: Collection[TestResult], trees: Mapping[str, ast.Module]) -> None:
    for module in sorted(modules_of(result.message for result in red)):
        for path in files_of(module, trees):
            for line in definition_lines(trees[path]):
                scores.setdefault((path, line), _Score()).add(NAMED_BP, f"{module} lacks a name, and defines this")


def _add_named(scores: dict[_Place, _Score], red: Collection[TestResult], trees: Mapping[str, ast.Module]) -> None:
    words = {word for result in red for word in re.findall(r"[A-Za-z_]\w+", f"{result.detail}\n{result.message}")}
    for path, tree in trees.items():
        if not is_test_side(path):
            for name, lines in functions(tree):
                if name in words:
                    for line in lines:
                        scores.setdefault((path, line), _Score()).add(NAMED_BP, f"in {name}(), which the failure names")


def assignments(tree: ast.Module) -> set[int]:
    """First lines of assignments at module and class level."""
    found: set[int] = set()
    bodies = [tree.body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                found.add(node.lineno)
            elif isinstance(node, ast.ClassDef):
                bodies.append(node.body)
    return found


def lines_at_import(tree: ast.Module) -> set[int]:
    """Lines that count if they run during import: assignments, and statements in functions."""
    found = assignments(tree)
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, inside = waiting.pop()
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                found |= {child.lineno} if inside else set()
            if not isinstance(child, ast.expr):
                waiting.append((child, inside))
    return found


def functions(tree: ast.Module) -> list[tuple[str, list[int]]]:
    """Functions and methods by name, with the first lines of their statements."""
    return [
        (node.name, sorted({s.lineno for s in ast.walk(node) if isinstance(s, ast.stmt) and s is not node}))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _parse_or_empty(source: bytes) -> ast.Module:
    """The syntax tree of a file; an empty one if it is not valid Python."""
    return parse(source) or ast.Module(body=[], type_ignores=[])
