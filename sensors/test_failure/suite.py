"""Runs the test suite at a commit, and its failing tests once more; interprets the results."""

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
    """The result for one commit. ``problem`` is set if the tests gave no verdict; then nothing may be concluded."""

    known: KnownOutcome
    red: tuple[TestResult, ...] = ()  # red in both runs
    problem: str = ""
    remedy: str = ""


class Suite:
    """Runs the suite and records each run."""

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
        """Prepare for a look at HEAD if its outcome is unknown. Problems of the repository are left to the look.

        The second run has its own process with another hash seed, which reveals tests that fail by chance.
        """
        with contextlib.suppress(OuroError):
            head = (await self._repository.head()).commit
            if head is not None and await self._outcomes.of(head) is None:
                await self._tests.prepare(head)

    async def discard_prepared(self) -> None:
        """End preparations: no look follows."""
        await self._tests.discard_prepared()

    async def look(self, tree: str) -> SuiteFinding:
        """Run the suite at ``tree``, then its failing tests once more: only tests that fail twice in a row are red."""
        first = await self._run(tree)
        known = KnownOutcome(tree=tree, collected=len(first.collected))
        if first.status is RunStatus.GREEN:
            return SuiteFinding(known=known)
        if first.status is not RunStatus.RED or not first.red:
            return _finding_without_verdict(known, first)
        ids = tuple(dict.fromkeys(result.id for result in first.red))
        second = await self._run(tree, ids if len(ids) <= self._confirm_limit else None)
        if second.status not in VERDICTS:
            return _finding_without_verdict(known, second)
        failed_again = {result.id: result for result in second.red}
        red = tuple(failed_again[test] for test in ids if test in failed_again)
        flaky = tuple(test for test in ids if test not in failed_again)
        return SuiteFinding(
            known=known.model_copy(update={"red": tuple(result.id for result in red), "flaky": flaky}), red=red
        )

    async def passing_before(self, tree: str, ids: Sequence[str]) -> frozenset[str]:
        """Those of ``ids`` that passed at the parent of ``tree``; usually known without a run."""
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


PROBLEMS = {
    RunStatus.TIMEOUT: (
        "The tests did not end in time",
        "Run them by hand to see which hangs; where they are only slow, raise pipeline.suite_budget_s.",
    ),
    RunStatus.INFRA: ("The tests could not be run", "`ouro doctor` checks the set-up."),
}
OTHER_PROBLEM = ("The tests gave no answer", "Run pytest by hand to see more.")
NO_TESTS = (
    "There are no tests that pytest finds",
    "Write one that fails where the code is wrong, then ask again.",
)


def _finding_without_verdict(known: KnownOutcome, run: TestRun) -> SuiteFinding:
    no_tests = run.status is RunStatus.INCONCLUSIVE and not run.collected and run.reason.startswith("No test")
    sentence, remedy = NO_TESTS if no_tests else PROBLEMS.get(run.status, OTHER_PROBLEM)
    reason = run.reason.rstrip(".")
    return SuiteFinding(
        known=known, problem=f"{sentence} at {known.tree[:12]}{': ' if reason else ''}{reason}.", remedy=remedy
    )
