"""Questions about the record and about the daemon's commits, answered without a daemon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.api import LogView
from ledger.clock import SystemClock
from ledger.errors import LedgerError
from ledger.ids import resolve_op
from ledger.store import ChainReport, Ledger
from ledger.vocabulary import Frozen

if TYPE_CHECKING:
    from daemon.settings import Config

NAMED = "SELECT DISTINCT op_id FROM entries WHERE op_id IS NOT NULL AND instr(op_id, ?) > 0"


class CommitReport(Frozen):
    """One commit of the daemon. ``problems`` is empty when everything agrees."""

    commit: str
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


class VerifyReport(Frozen):
    """What ``ouro verify`` found; ``chain`` is a sentence about the ledger."""

    commits: tuple[CommitReport, ...] = ()
    chain_ok: bool = True
    chain: str = ""

    @property
    def ok(self) -> bool:
        return self.chain_ok and all(one.ok for one in self.commits)


async def open_ledger(config: Config) -> Ledger:
    """The ledger, read-only, also beside a live daemon. Raises ``LedgerError`` when there is none yet."""
    places = config.places
    if not places.ledger.exists():
        raise LedgerError("There is no record of this repository yet.", remedy="`ouro run` or `ouro fix` begins one.")
    return await Ledger.open(places.ledger, repo_id=places.repo_id, clock=SystemClock(), read_only=True)


async def resolve(ledger: Ledger, reference: str) -> str:
    """The op that a short id names. Raises ``ControlError``."""
    part = reference.strip().lower().removeprefix("op-")
    rows = await ledger.query(NAMED, (part,))
    return resolve_op(reference, (str(row[0]) for row in rows))


async def log_view(ledger: Ledger, *, op: str | None, limit: int, after: int | None) -> LogView:
    """Entries in order: the newest ``limit``, or the first ``limit`` after ``after``."""
    op_id = None if op is None else await resolve(ledger, op)
    newest = after is None
    entries = await ledger.entries(op_id=op_id, after=after or 0, limit=limit, newest_first=newest)
    ordered = tuple(reversed(entries)) if newest else tuple(entries)
    return LogView(entries=ordered, head=ledger.head.seq)


def chain_sentence(report: ChainReport) -> str:
    """What a walk over the chain found, for a person."""
    if report.ok:
        return f"{report.entries} entries, the chain holds, head {report.head.hash[:12]}"
    return f"the chain breaks at entry {report.first_bad}; {report.entries} entries before it hold"


async def verify_commits(config: Config, ledger: Ledger, commits: str) -> VerifyReport:
    """Every commit of the daemon in ``commits`` (a commit or a range) against its signature and the ledger."""
    from governance.changes import commit_object
    from governance.changes.signing import KEY, ensure_identity
    from tools.git import Git

    git = Git(config.places, config.env)
    single = () if ".." in commits else ("--no-walk",)
    listed = await git.call("rev-list", *single, "--end-of-options", commits, "--")
    found = []
    has_key = (config.places.keys / KEY).exists()
    for commit in listed.text.split():
        data = (await git.call("cat-file", "commit", commit)).out
        if b"\nOuro-Ledger: " not in data:
            continue
        if not has_key:
            found.append(CommitReport(commit=commit, problems=("this machine holds no key of the daemon",)))
            continue
        identity = await asyncio.to_thread(ensure_identity, config.places, config.settings.changes)
        check = commit_object.check(data, identity)
        problems = (*check.problems, *await _ledger_problems(ledger, check.trailers))
        found.append(CommitReport(commit=commit, problems=problems))
    if not found:
        return VerifyReport()
    report = await ledger.verify()
    return VerifyReport(commits=tuple(found), chain_ok=report.ok, chain=chain_sentence(report))


async def _ledger_problems(ledger: Ledger, trailers: dict[str, str]) -> tuple[str, ...]:
    """Does the entry that the commit names exist, with that hash, and is it of that op?"""
    place, _, digest = trailers.get("Ouro-Ledger", "").partition(" sha256:")
    if not place.isdigit() or not digest:
        return ("its Ouro-Ledger trailer names no entry",)
    rows = await ledger.query("SELECT hash, op_id FROM entries WHERE seq = ?", (int(place),))
    if not rows:
        return (f"the ledger has no entry {place}",)
    problems = []
    if rows[0][0] != digest:
        problems.append(f"entry {place} of the ledger has another hash")
    op = trailers.get("Ouro-Op") or trailers.get("Ouro-Undoes", "")
    if rows[0][1] != op.partition(" ")[0]:
        problems.append(f"entry {place} of the ledger belongs to another op")
    return tuple(problems)
