"""Diffs that the owner undid or rejected, which are never applied again, and review branches awaiting the owner.

Deleting a review branch without having merged its work counts as a rejection.
"""

from __future__ import annotations

import json

from governance.grounding.settlement import Settlement, take_back_claims
from governance.record import Recorder
from ledger.events.change import ReviewMerged, ReviewRejected
from ledger.events.op import CandidateProposed
from ledger.store import Ledger, Statement
from ledger.vocabulary import Frozen

SCHEMA = """
CREATE TABLE IF NOT EXISTS refused_diffs (hash TEXT PRIMARY KEY, op_id TEXT NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS review_branches (
    branch TEXT PRIMARY KEY, op_id TEXT NOT NULL, commit_id TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS taken_back (op_id TEXT PRIMARY KEY, commit_id TEXT NOT NULL, tests TEXT NOT NULL);
"""


async def refusals_of(ledger: Ledger, op_id: str, why: str) -> tuple[Statement, ...]:
    """Statements that refuse an op's newest candidate, to commit together with the entry of the refusal."""
    found = await ledger.events(CandidateProposed, op_id=op_id, newest_first=True, limit=1)
    hashes = (digest for _, candidate in found for digest in (candidate.hash, candidate.change))
    return tuple(Refused.statement(digest, op_id, why) for digest in hashes if digest)


class TakenBack(Frozen):
    """An undone repair: the undo commit, and the tests that fail again because of it."""

    op_id: str
    commit: str
    tests: tuple[str, ...]


class Waiting(Frozen):
    """An op's commit on a review branch. ``hash`` is the hash of its diff."""

    branch: str
    op_id: str
    commit: str
    hash: str

    @property
    def note(self) -> str:
        """The notice for the owner."""
        return f"{self.branch} holds a repair that waits for you: `git merge {self.branch}`, or delete it to refuse"


class Refused:
    """Stores hashes of refused diffs, pending review branches, and undone repairs in the ledger's database."""

    def __init__(self, *, ledger: Ledger) -> None:
        self._ledger = ledger

    async def prepare(self) -> None:
        await self._ledger.ensure(SCHEMA)

    async def hashes(self) -> tuple[str, ...]:
        return tuple(str(row[0]) for row in await self._ledger.query("SELECT hash FROM refused_diffs ORDER BY hash"))

    async def waiting(self) -> tuple[Waiting, ...]:
        """Review branches neither merged nor deleted, oldest op first."""
        rows = await self._ledger.query("SELECT branch, op_id, commit_id, hash FROM review_branches ORDER BY op_id")
        return tuple(Waiting(branch=str(b), op_id=str(o), commit=str(c), hash=str(h)) for b, o, c, h in rows)

    async def taken_back(self) -> tuple[TakenBack, ...]:
        """All undone repairs of tests."""
        rows = await self._ledger.query("SELECT op_id, commit_id, tests FROM taken_back ORDER BY op_id")
        return tuple(TakenBack(op_id=str(o), commit=str(c), tests=json.loads(str(t))) for o, c, t in rows)

    async def close(self, waiting: Waiting, *, taken_over: bool) -> None:
        """Record that the owner merged the branch, or deleted it unmerged; in the latter case its diff is refused."""
        project: list[Statement] = [("DELETE FROM review_branches WHERE branch = ?", (waiting.branch,))]
        if not taken_over:
            why = "its review branch was deleted"
            project.append(self.statement(waiting.hash, waiting.op_id, why))
            project += await refusals_of(self._ledger, waiting.op_id, why)
        event = ReviewMerged if taken_over else ReviewRejected
        record = Recorder(self._ledger, op_id=waiting.op_id, spend=await self._ledger.spent(waiting.op_id))
        settled = Settlement()
        if not taken_over:
            settled = await take_back_claims(self._ledger, waiting.op_id, "its review branch was deleted")
        await record.note(
            event(branch=waiting.branch, commit=waiting.commit),
            project=(*project, *settled.project),
            also=settled.drafts(record),
        )

    @staticmethod
    def statement(diff_hash: str, op_id: str, why: str) -> Statement:
        """Refuses a diff; to commit together with the entry that records the refusal."""
        return ("INSERT OR IGNORE INTO refused_diffs VALUES (?, ?, ?)", (diff_hash, op_id, why))

    @staticmethod
    def takes_back(taken: TakenBack) -> Statement:
        """Stores an undone repair; to commit together with the entry of the undo."""
        row = (taken.op_id, taken.commit, json.dumps(taken.tests))
        return ("INSERT OR REPLACE INTO taken_back VALUES (?, ?, ?)", row)

    @staticmethod
    def waits(waiting: Waiting) -> Statement:
        """Stores a pending review branch; to commit together with the entry of its commit."""
        row = (waiting.branch, waiting.op_id, waiting.commit, waiting.hash)
        return ("INSERT OR REPLACE INTO review_branches VALUES (?, ?, ?, ?)", row)
