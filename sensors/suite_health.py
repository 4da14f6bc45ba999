"""Does the suite still answer, and where did it last? Read from the record of test runs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ledger.events.sensing import SuiteRun
from ledger.vocabulary import Entry, Frozen, Outcome, RunStatus, TestRun
from sensors.paths import is_test

VERDICTS = frozenset({RunStatus.GREEN, RunStatus.RED})
MOST_IDS = 50
MOST_TARGETS = 4
SETTINGS = frozenset({"pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "conftest.py"})


class Past(Frozen):
    """One run of the whole suite at a commit, as the ledger has it. ``seq``: of its entry."""

    commit: str
    status: RunStatus
    reason: str = ""
    collected: int = 0
    seq: int = 0

    @property
    def answered(self) -> bool:
        return self.status in VERDICTS and self.collected > 0


def past_of(runs: Iterable[tuple[Entry, SuiteRun]]) -> tuple[Past, ...]:
    """The runs of the whole suite among ``runs``, in their order."""
    return tuple(
        Past(commit=run.commit, status=run.status, reason=run.reason, collected=run.collected, seq=entry.seq)
        for entry, run in runs
        if run.asked is None
    )


def last_at(commit: str, newest_first: Sequence[Past]) -> Past | None:
    """The newest run at a commit."""
    return next((past for past in newest_first if past.commit == commit), None)


def answering(newest_first: Sequence[Past]) -> frozenset[str]:
    """Commits whose newest run came to a verdict."""
    newest = {past.commit: past for past in reversed(newest_first)}
    return frozenset(commit for commit, past in newest.items() if past.answered)


def untouched(run: TestRun, changed: Collection[str]) -> tuple[str, ...]:
    """The tests that passed in a run whose files are as they were: they have every reason to pass again."""
    return tuple(
        result.id
        for result in run.results
        if result.outcome is Outcome.PASSED and result.id.partition("::")[0] not in changed
    )


def named_of(ids: Sequence[str], ended: Collection[str]) -> tuple[str, ...]:
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
