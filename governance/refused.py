"""Changes that the owner took back or turned down: the same diff is never applied again.

Work on a review branch waits here for what the owner does with it: a branch that is deleted is a no, unless its work
was taken over before.
"""

from __future__ import annotations

import json

from governance.grounding.settling import Settled, take_back
from governance.record import Recorder
from ledger.store import Ledger, Statement
from ledger.vocabulary import EntryKind, Frozen

SCHEMA = """
CREATE TABLE IF NOT EXISTS refused_diffs (hash TEXT PRIMARY KEY, op_id TEXT NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS review_branches (
    branch TEXT PRIMARY KEY, op_id TEXT NOT NULL, commit_id TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS taken_back (op_id TEXT PRIMARY KEY, commit_id TEXT NOT NULL, tests TEXT NOT NULL);
"""


async def refusals_of(ledger: Ledger, op_id: str, why: str) -> tuple[Statement, ...]:
    """To land together with the entry that says that an op's newest candidate is refused."""
    found = await ledger.entries(
        op_id=op_id, kinds=(EntryKind.CANDIDATE,), events=("candidate",), newest_first=True, limit=1
    )
    hashes = (str(entry.payload.get(name) or "") for entry in found for name in ("hash", "change"))
    return tuple(Refused.statement(digest, op_id, why) for digest in hashes if digest)


class TakenBack(Frozen):
    """A repair that an undo took back: the commit that did, and the tests that are red again for it."""

    op_id: str
    commit: str
    tests: tuple[str, ...]


class Waiting(Frozen):
    """Work that an op has put on a review branch. ``hash`` is that of its diff."""

    branch: str
    op_id: str
    commit: str
    hash: str

    @property
    def note(self) -> str:
        """What the owner is told."""
        return f"{self.branch} holds a repair that waits for you: `git merge {self.branch}`, or delete it to refuse"


class Refused:
    """Hashes of refused diffs, and branches that may become one, kept in the ledger's database."""

    def __init__(self, *, ledger: Ledger) -> None:
        self._ledger = ledger

    async def prepare(self) -> None:
        await self._ledger.ensure(SCHEMA)

    async def hashes(self) -> tuple[str, ...]:
        return tuple(str(row[0]) for row in await self._ledger.query("SELECT hash FROM refused_diffs ORDER BY hash"))

    async def waiting(self) -> tuple[Waiting, ...]:
        """Review branches of which the owner has said nothing yet, oldest op first."""
        rows = await self._ledger.query("SELECT branch, op_id, commit_id, hash FROM review_branches ORDER BY op_id")
        return tuple(Waiting(branch=str(b), op_id=str(o), commit=str(c), hash=str(h)) for b, o, c, h in rows)

    async def taken_back(self) -> tuple[TakenBack, ...]:
        """Every undo of an op that had made tests pass."""
        rows = await self._ledger.query("SELECT op_id, commit_id, tests FROM taken_back ORDER BY op_id")
        return tuple(TakenBack(op_id=str(o), commit=str(c), tests=json.loads(str(t))) for o, c, t in rows)

    async def close(self, waiting: Waiting, *, taken_over: bool) -> None:
        """The owner merged the branch, or deleted it without: then its diff is refused."""
        project: list[Statement] = [("DELETE FROM review_branches WHERE branch = ?", (waiting.branch,))]
        if not taken_over:
            why = "its review branch was deleted"
            project.append(self.statement(waiting.hash, waiting.op_id, why))
            project += await refusals_of(self._ledger, waiting.op_id, why)
        event = "review.merged" if taken_over else "review.rejected"
        record = Recorder(self._ledger, op_id=waiting.op_id, spend=await self._ledger.spent(waiting.op_id))
        settled = Settled()
        if not taken_over:
            settled = await take_back(self._ledger, waiting.op_id, "its review branch was deleted")
        await record.note(
            EntryKind.OUTCOME,
            event,
            branch=waiting.branch,
            commit=waiting.commit,
            project=(*project, *settled.project),
            also=settled.drafts(record),
        )

    @staticmethod
    def statement(diff_hash: str, op_id: str, why: str) -> Statement:
        """To land together with the entry that says so."""
        return ("INSERT OR IGNORE INTO refused_diffs VALUES (?, ?, ?)", (diff_hash, op_id, why))

    @staticmethod
    def takes_back(taken: TakenBack) -> Statement:
        """To land together with the entry of the undo."""
        row = (taken.op_id, taken.commit, json.dumps(taken.tests))
        return ("INSERT OR REPLACE INTO taken_back VALUES (?, ?, ?)", row)

    @staticmethod
    def waits(waiting: Waiting) -> Statement:
        """To land together with the entry of the commit."""
        row = (waiting.branch, waiting.op_id, waiting.commit, waiting.hash)
        return ("INSERT OR REPLACE INTO review_branches VALUES (?, ?, ?, ?)", row)
