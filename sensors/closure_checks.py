"""Closure checks: whether the condition that a signal described is gone from a given tree.

Each sensor declares the kinds of checks that it answers (``SensorSpec.closure_checks``); the kinds that rest on named
tests or on the owner's yes are answered here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ledger.ids import sha256_hex
from ledger.ports import TreePort
from ledger.vocabulary import (
    Check,
    Closure,
    ClosureAnswer,
    Edit,
    EditKind,
    FileCheck,
    Outcome,
    OwnerConfirms,
    RunStatus,
    TestRun,
    TestsPass,
)
from sensors.ports import ElsewherePort, Redact

AnswerCheck = Callable[[Any, TreePort], Awaitable[ClosureAnswer]]
"""Answers checks of one kind on a tree."""
MarkFile = Callable[[Any, bytes, str], bytes | None]
"""The bytes of a check's file with the daemon's own mark in it: check, bytes before, op id; None: nothing to mark."""


class ClosurePorts(NamedTuple):
    """Ports of closure checks. Without ``elsewhere`` no check can look into another repository."""

    redact: Redact = str
    elsewhere: ElsewherePort | None = None


def on_file(answer: Callable[[Any, bytes | None], ClosureAnswer]) -> AnswerCheck:
    """Ask a pure function of the check and its file's bytes (None: there is no such file), in a thread."""

    async def ask(check: FileCheck, tree: TreePort) -> ClosureAnswer:
        data = await tree.read(check.path)
        return await asyncio.to_thread(answer, check, data)

    return ask


# A test that is skipped or expected to fail now does not pass: that is how a failure is hidden, not how it is repaired.
PASSING = frozenset({Outcome.PASSED, Outcome.XPASSED})


def below(named: str, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The tests of a file, class, folder or conftest that an id names; empty when none of them was run. Pure.

    A file that could not be collected is red under its own name: once it can be, only its tests have outcomes.
    """
    place = named.rpartition("/")[0] if named.rpartition("/")[2] == "conftest.py" else named
    inside = (f"{place}::", f"{place}[", f"{place}/")
    return {test: out for test, out in outcomes.items() if place in ("", ".") or test.startswith(inside)}


def open_in(named: str, outcomes: Mapping[str, Outcome]) -> str:
    """Why the condition that an id names is still there; empty when it is gone. Pure.

    A test must pass. A file must be collected, one of its tests must pass, and none may be red: whether
    such a test was red before for another reason is unknown, since it could not be run. What it skips may stay so.
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


class ClosureEvaluator:
    """Evaluates closure checks of every kind on a tree. ``checks`` and ``marks`` come from the sensors' specs."""

    def __init__(self, *, checks: Mapping[type[Check], AnswerCheck], marks: Mapping[type[Check], MarkFile]) -> None:
        self._checks = checks
        self._marks = marks

    async def is_closed(self, closure: Closure, tree: TreePort, *, confirmed: bool = False) -> ClosureAnswer:
        """``tree`` runs tests and reads files of the checked tree; ``confirmed`` is the owner's yes."""
        if isinstance(closure, TestsPass):
            if not closure.ids:
                return ClosureAnswer(closed=False, reason="The check names no test.")
            return tests_answer(closure.ids, await tree.run(closure.ids))
        if isinstance(closure, OwnerConfirms):
            return _owner_answer(closure, confirmed)
        ask = self._checks.get(type(closure))
        if ask is None:
            return ClosureAnswer(closed=False, reason=f"No sensor answers checks of the kind {closure.kind}.")
        return await ask(closure, tree)

    async def mark(self, closure: Closure, tree: TreePort, op_id: str) -> Edit | None:
        """The daemon's own part of a change that makes ``closure`` true, on the files of ``tree``.

        None when there is none to make, or when the file is not what it was.
        """
        mark = self._marks.get(type(closure))
        if mark is None or not isinstance(closure, FileCheck):
            return None
        before = await tree.read(closure.path)
        after = mark(closure, before, op_id) if before is not None else None
        if before is None or after is None:
            return None
        rationale = "the daemon marks the item as done"
        return Edit(
            path=closure.path, kind=EditKind.MODIFY, before=sha256_hex(before), after=after, rationale=rationale
        )


def _owner_answer(closure: OwnerConfirms, confirmed: bool) -> ClosureAnswer:
    if confirmed:
        return ClosureAnswer(closed=True, reason="The owner said yes.")
    return ClosureAnswer(closed=False, reason=f"Only the owner can say so: {closure.question}")
