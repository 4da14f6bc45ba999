"""Is the condition that a signal described gone? Asked on an explicit tree, never on "the checkout"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ledger.vocabulary import Closure, Frozen, Outcome, OwnerConfirms, RunStatus, TestRun, TestsPass

# A test that is skipped or expected to fail now does not pass: that is how a failure is hidden, not how it is repaired.
PASSING = frozenset({Outcome.PASSED, Outcome.XPASSED})

RunTests = Callable[[Sequence[str]], Awaitable[TestRun]]


class ClosureAnswer(Frozen):
    """The answer, and the sentence that says what it rests on."""

    closed: bool
    reason: str


def tests_answer(ids: Sequence[str], run: TestRun) -> ClosureAnswer:
    """Closed when every id was run and passed. Pure."""
    if run.status not in (RunStatus.GREEN, RunStatus.RED):
        return ClosureAnswer(closed=False, reason=f"The tests gave no answer ({run.status.value}): {run.reason}")
    outcomes = {result.id: result.outcome for result in run.results}
    missing = [test for test in ids if test not in outcomes]
    if missing:
        return ClosureAnswer(closed=False, reason=f"{missing[0]} was not run.")
    open_ = [test for test in ids if outcomes[test] not in PASSING]
    if open_:
        more = f" and {len(open_) - 1} more" if len(open_) > 1 else ""
        return ClosureAnswer(closed=False, reason=f"{open_[0]} is {outcomes[open_[0]].value}{more}.")
    return ClosureAnswer(closed=True, reason=f"{len(ids)}/{len(ids)} named tests pass.")


class ClosureEvaluator:
    """Evaluates every kind of closure check."""

    async def is_closed(self, closure: Closure, run: RunTests, *, confirmed: bool = False) -> ClosureAnswer:
        """``run`` runs test ids on the tree that is asked about; ``confirmed`` is the owner's recorded yes."""
        if isinstance(closure, TestsPass):
            if not closure.ids:
                return ClosureAnswer(closed=False, reason="The check names no test.")
            return tests_answer(closure.ids, await run(closure.ids))
        return _owner_answer(closure, confirmed)


def _owner_answer(closure: OwnerConfirms, confirmed: bool) -> ClosureAnswer:
    if confirmed:
        return ClosureAnswer(closed=True, reason="The owner said yes.")
    return ClosureAnswer(closed=False, reason=f"Only the owner can say so: {closure.question}")
