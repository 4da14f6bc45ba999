"""Is the condition that a signal described gone? Asked on an explicit tree, never on "the checkout"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ledger.ids import sha256_hex
from ledger.vocabulary import (
    AllReached,
    Closure,
    DuplicateGone,
    Edit,
    EditKind,
    FileCheck,
    ItemDone,
    MarkerAbsent,
    MetricBelow,
    MetricWithin,
    Outcome,
    OwnerConfirms,
    PageWithout,
    ParametersDocumented,
    RunStatus,
    SidesAgree,
    SuiteAnswers,
    SymbolDocumented,
    SymbolGone,
    SymbolPinned,
    TestRun,
    TestsPass,
    TreeCheck,
    VersionAtLeast,
)
from sensors.agreement import Agreement
from sensors.answer import ClosureAnswer
from sensors.backlog_items import item_answer, marked
from sensors.census import MOST_FILES, Census
from sensors.complexity import metric_answer
from sensors.docstrings import documented_answer
from sensors.doors import TreeDoor
from sensors.markers import marker_answer
from sensors.measuring import Benchmark
from sensors.pages import page_answer
from sensors.performance_settings import PerformanceRegressionSettings
from sensors.pinning import pinned_answer
from sensors.pins import version_answer
from sensors.signatures import parameters_answer
from sensors.surveys import duplicate_answer, gone_answer, reached_answer

# A test that is skipped or expected to fail now does not pass: that is how a failure is hidden, not how it is repaired.
PASSING = frozenset({Outcome.PASSED, Outcome.XPASSED})

# What answers the kinds that are about one file: the check and the file's bytes (None: there is none) in. Pure.
READERS: Mapping[type[FileCheck], Callable[[Any, bytes | None], ClosureAnswer]] = {
    MarkerAbsent: marker_answer,
    SymbolDocumented: documented_answer,
    MetricBelow: metric_answer,
    ItemDone: item_answer,
    AllReached: reached_answer,
    ParametersDocumented: parameters_answer,
    PageWithout: page_answer,
    VersionAtLeast: version_answer,
}
SURVEYED: tuple[type[TreeCheck], ...] = (DuplicateGone, SymbolGone)  # answered from the whole tree


def below(named: str, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The tests of a file, class, folder or conftest that an id names; empty when none of them was run. Pure.

    A file that could not be collected is red under its own name: once it can be, only its tests have outcomes.
    """
    place = named.rpartition("/")[0] if named.rpartition("/")[2] == "conftest.py" else named
    inside = (f"{place}::", f"{place}[", f"{place}/")
    return {test: out for test, out in outcomes.items() if place in ("", ".") or test.startswith(inside)}


def open_in(named: str, outcomes: Mapping[str, Outcome]) -> str:
    """Why the condition that an id names is still there; empty when it is gone. Pure.

    A test must pass. A file must be collected, one of its tests must pass, and none may be red: nobody can say that
    such a test was red before for another reason, since it could not be run. What the file itself skips may stay so.
    """
    if named in outcomes:
        return "" if outcomes[named] in PASSING else f"{named} is {outcomes[named].value}"
    tests = below(named, outcomes)
    if not tests:
        return f"{named} was not run"
    red = [test for test, outcome in tests.items() if outcome.red]
    if red:
        return f"{named} can be collected, but {red[0]} is {tests[red[0]].value}"
    return "" if PASSING.intersection(tests.values()) else f"{named} can be collected, but none of its tests passes"


def tests_answer(ids: Sequence[str], run: TestRun) -> ClosureAnswer:
    """Closed when every id was run and passed, a file's by its tests. Pure."""
    if run.status not in (RunStatus.GREEN, RunStatus.RED):
        return ClosureAnswer(closed=False, reason=f"The tests gave no answer ({run.status.value}): {run.reason}")
    outcomes = {result.id: result.outcome for result in run.results}
    missing = [test for test in ids if test not in outcomes and not below(test, outcomes)]
    if missing:
        return ClosureAnswer(closed=False, reason=f"{missing[0]} was not run.")
    open_ = [why for test in ids if (why := open_in(test, outcomes))]
    if open_:
        more = f" and {len(open_) - 1} more" if len(open_) > 1 else ""
        return ClosureAnswer(closed=False, reason=f"{open_[0]}{more}.")
    named = [test for test in ids if test in outcomes]
    said = [f"{len(named)}/{len(named)} named tests pass"] if named else []
    for place in (test for test in ids if test not in outcomes):
        count = sum(outcome in PASSING for outcome in below(place, outcomes).values())
        said.append(f"{place} is collected and {count} of its tests pass, none is red")
    return ClosureAnswer(closed=True, reason=f"{'; '.join(said)}.")


def suite_answer(check: SuiteAnswers, run: TestRun) -> ClosureAnswer:
    """Closed when there is a verdict, in which the named tests pass and enough of all do. Pure."""
    named = tests_answer(check.ids, run)
    if not named.closed:
        return named
    if run.passed < check.least:
        return ClosureAnswer(closed=False, reason=f"{run.passed} tests pass, where {check.least} did before.")
    return ClosureAnswer(closed=True, reason=f"The suite answers: {run.passed} tests pass.")


class ClosureEvaluator:
    """Evaluates every kind of closure check, on the tree that it is given. Remembers what it has read of files.

    ``benchmark`` says how a tree is measured; without one nothing is within its limits. ``agreement`` knows the other
    side of contracts; without it nothing agrees.
    """

    def __init__(self, *, benchmark: Benchmark | None = None, agreement: Agreement | None = None) -> None:
        self._census = Census(most_files=MOST_FILES)
        self._benchmark = benchmark or Benchmark(PerformanceRegressionSettings())
        self._agreement = agreement or Agreement(elsewhere=None, pairs={}, largest=0)

    async def is_closed(self, closure: Closure, tree: TreeDoor, *, confirmed: bool = False) -> ClosureAnswer:
        """``tree`` runs tests and reads files of the tree that is asked about; ``confirmed`` is the owner's yes."""
        if isinstance(closure, TestsPass):
            if not closure.ids:
                return ClosureAnswer(closed=False, reason="The check names no test.")
            return tests_answer(closure.ids, await tree.run(closure.ids))
        if isinstance(closure, OwnerConfirms):
            return _owner_answer(closure, confirmed)
        if isinstance(closure, DuplicateGone | SymbolGone):
            return await self._surveyed(closure, tree)
        if isinstance(closure, MetricWithin):
            return await self._benchmark.answer(closure, tree)
        if isinstance(closure, SidesAgree):
            return await self._agreement.answer(closure, tree)
        if isinstance(closure, SuiteAnswers):
            return suite_answer(closure, await tree.run(None))
        if isinstance(closure, SymbolPinned):
            return await pinned_answer(closure, tree)
        data = await tree.read(closure.path)
        return await asyncio.to_thread(READERS[type(closure)], closure, data)

    async def _surveyed(self, closure: DuplicateGone | SymbolGone, tree: TreeDoor) -> ClosureAnswer:
        facts = await self._census.take(tree)
        if isinstance(closure, SymbolGone):
            return await asyncio.to_thread(gone_answer, closure, facts)
        texts = await tree.read_many([path for path in facts.files if path.endswith(".py")])
        return await asyncio.to_thread(duplicate_answer, closure, facts, texts)

    async def mark(self, closure: Closure, tree: TreeDoor, op_id: str) -> Edit | None:
        """The daemon's own part of a change that makes ``closure`` true, on the files of ``tree``.

        None when there is none to make, or when the file is not what it was.
        """
        if not isinstance(closure, ItemDone):
            return None
        before = await tree.read(closure.path)
        after = marked(closure.path, before, closure.item, op_id) if before is not None else None
        if before is None or after is None:
            return None
        return Edit(
            path=closure.path, kind=EditKind.MODIFY, before=sha256_hex(before), after=after,
            rationale="the daemon marks the item as done",
        )  # fmt: skip


def _owner_answer(closure: OwnerConfirms, confirmed: bool) -> ClosureAnswer:
    if confirmed:
        return ClosureAnswer(closed=True, reason="The owner said yes.")
    return ClosureAnswer(closed=False, reason=f"Only the owner can say so: {closure.question}")
