"""Runs the suite at a committed tree, twice if it is red, and interprets the result."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ledger.errors import OuroError
from ledger.vocabulary import Frozen, RunStatus, TestResult, TestRun
from sensors.closure_checks import tests_answer
from sensors.ports import Redact, RepositoryPort, TestPort
from sensors.redaction import run_without_secrets
from sensors.roles import KnownOutcome
from sensors.test_failure.outcomes import Outcomes

VERDICTS = frozenset({RunStatus.GREEN, RunStatus.RED})


class SuiteFinding(Frozen):
    """What two looks at one tree gave. ``problem`` is set when the tests gave no answer: nothing follows from that."""

    known: KnownOutcome
    red: tuple[TestResult, ...] = ()  # red in both runs
    problem: str = ""
    remedy: str = ""


class Suite:
    """Asks the test door and records each run."""

    def __init__(
        self,
        *,
        tests: TestPort,
        repository: RepositoryPort,
        outcomes: Outcomes,
        confirm_limit: int,
        redact: Redact = str,
    ) -> None:
        self._tests = tests
        self._repository = repository
        self._outcomes = outcomes
        self._confirm_limit = confirm_limit
        self._redact = redact

    async def prepare(self) -> None:
        """HEAD is looked at soon: where its outcome is not known, the runs may begin to get ready. The second one has a
        process of its own, whose hash seed is another: what fails by chance shows.

        Problems of the repository are reported by the look.
        """
        with contextlib.suppress(OuroError):
            head = (await self._repository.head()).commit
            if head is not None and await self._outcomes.of(head) is None:
                await self._tests.prepare(head)

    async def discard_prepared(self) -> None:
        """No look is to come just now."""
        await self._tests.discard_prepared()

    async def look(self, tree: str) -> SuiteFinding:
        """Run everything at ``tree``; what is red is run again at the same tree: only red twice in a row is red."""
        first = await self._run(tree)
        known = KnownOutcome(tree=tree, collected=len(first.collected))
        if first.status is RunStatus.GREEN:
            return SuiteFinding(known=known)
        if first.status is not RunStatus.RED or not first.red:
            return _no_answer(known, first)
        ids = tuple(dict.fromkeys(result.id for result in first.red))
        second = await self._run(tree, ids if len(ids) <= self._confirm_limit else None)
        if second.status not in VERDICTS:
            return _no_answer(known, second)
        again = {result.id: result for result in second.red}
        red = tuple(again[test] for test in ids if test in again)
        flaky = tuple(test for test in ids if test not in again)
        return SuiteFinding(
            known=known.model_copy(update={"red": tuple(result.id for result in red), "flaky": flaky}), red=red
        )

    async def green_before(self, tree: str, ids: Sequence[str]) -> frozenset[str]:
        """Those of ``ids`` that were green at the parent of ``tree``; usually known without a run."""
        parent = await self._repository.parent(tree)
        if parent is None:
            return frozenset()
        known = await self._outcomes.of(parent)
        if known is not None:
            return frozenset(ids) - set(known.red)
        run = await self._run(parent, ids if len(ids) <= self._confirm_limit else None)
        if run.status not in VERDICTS:
            return frozenset()
        return frozenset(test for test in ids if tests_answer((test,), run).closed)

    async def _run(self, tree: str, ids: Sequence[str] | None = None) -> TestRun:
        run = run_without_secrets(await self._tests.run(tree, ids), self._redact)
        await self._outcomes.note_run(tree, ids, run)
        return run


NO_ANSWER = {
    RunStatus.TIMEOUT: (
        "The tests did not end in time",
        "Run them by hand to see which hangs; where they are only slow, raise pipeline.suite_budget_s.",
    ),
    RunStatus.INFRA: ("The tests could not be run", "`ouro doctor` checks the set-up."),
}
NO_VERDICT = ("The tests gave no answer", "Run pytest by hand to see more.")
NO_TESTS = ("There are no tests that pytest finds", "Write one that fails where the code is wrong, then ask again.")


def _no_answer(known: KnownOutcome, run: TestRun) -> SuiteFinding:
    nothing = run.status is RunStatus.INCONCLUSIVE and not run.collected and run.reason.startswith("No test")
    word, remedy = NO_TESTS if nothing else NO_ANSWER.get(run.status, NO_VERDICT)
    reason = run.reason.rstrip(".")
    return SuiteFinding(
        known=known, problem=f"{word} at {known.tree[:12]}{': ' if reason else ''}{reason}.", remedy=remedy
    )
