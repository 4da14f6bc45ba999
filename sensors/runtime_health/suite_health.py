"""Does the suite still answer, and where did it last? Read from the record of test runs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ledger.events.sensing import SuiteRun
from ledger.ports import TreePort
from ledger.vocabulary import ClosureAnswer, Entry, Frozen, Outcome, RunStatus, SuiteAnswers, TestRun
from sensors.closure_checks import tests_answer
from sensors.python_source.syntax import is_test

VERDICTS = frozenset({RunStatus.GREEN, RunStatus.RED})
MOST_IDS = 50
MOST_TARGETS = 4
SETTINGS = frozenset({"pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "conftest.py"})


class PastRun(Frozen):
    """One run of the whole suite at a commit, as the ledger has it. ``seq``: of its entry."""

    commit: str
    status: RunStatus
    reason: str = ""
    collected: int = 0
    seq: int = 0

    @property
    def answered(self) -> bool:
        return self.status in VERDICTS and self.collected > 0


def past_of(runs: Iterable[tuple[Entry, SuiteRun]]) -> tuple[PastRun, ...]:
    """The runs of the whole suite among ``runs``, in their order."""
    return tuple(
        PastRun(commit=run.commit, status=run.status, reason=run.reason, collected=run.collected, seq=entry.seq)
        for entry, run in runs
        if run.asked is None
    )


def last_at(commit: str, newest_first: Sequence[PastRun]) -> PastRun | None:
    """The newest run at a commit."""
    return next((past for past in newest_first if past.commit == commit), None)


def answering(newest_first: Sequence[PastRun]) -> frozenset[str]:
    """Commits whose newest run came to a verdict."""
    newest = {past.commit: past for past in reversed(newest_first)}
    return frozenset(commit for commit, past in newest.items() if past.answered)


def find_untouched(run: TestRun, changed: Collection[str]) -> tuple[str, ...]:
    """The tests that passed in a run whose files are as they were: they have every reason to pass again."""
    return tuple(
        result.id
        for result in run.results
        if result.outcome is Outcome.PASSED and result.id.partition("::")[0] not in changed
    )


def list_named(ids: Sequence[str], ended: Collection[str]) -> tuple[str, ...]:
    """Those of ``ids`` that a check names: at most fifty, those that did not come to an end first, from all files."""
    files: dict[str, int] = {}
    rows = []
    for test in sorted(ids, key=lambda each: (each in ended, each)):
        path = test.partition("::")[0]
        files[path] = files.get(path, 0) + 1
        rows.append((test in ended, files[path], test))
    return tuple(sorted(test for _, _, test in sorted(rows)[:MOST_IDS]))


def suspects(changed: Iterable[str]) -> tuple[str, ...]:
    """Of the files that changed, those that most likely keep a suite from answering: its settings, then code."""

    def rank(path: str) -> tuple[int, str]:
        if path.rpartition("/")[2] in SETTINGS:
            return (0, path)
        return (1 if path.endswith(".py") and not is_test(path) else 2, path)

    return tuple(sorted(changed, key=rank)[:MOST_TARGETS])


def suite_answer(check: SuiteAnswers, run: TestRun) -> ClosureAnswer:
    """Closed when there is a verdict, in which the named tests pass and enough of all do. Pure."""
    named = tests_answer(check.ids, run)
    if not named.closed:
        return named
    if run.passed < check.least:
        return ClosureAnswer(closed=False, reason=f"{run.passed} tests pass, where {check.least} did before.")
    return ClosureAnswer(closed=True, reason=f"The suite answers: {run.passed} tests pass.")


async def ask_suite(check: SuiteAnswers, tree: TreePort) -> ClosureAnswer:
    """Run the whole suite on the tree."""
    return suite_answer(check, await tree.run(None))
