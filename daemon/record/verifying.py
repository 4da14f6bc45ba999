"""``ouro ledger verify`` and ``ouro verify``: the record against everything that vouches for it from outside.

Heads come from all signed commits of the repository and from the signed ends of sessions, kept in the chain, in
a file beside it and in a git ref. What is found is a sentence with its row, never an exception, whatever lies there.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.record.carriers import EVERYTHING, Carrier, carriers, revisions_of
from daemon.record.heads import Heads, StoredHeads
from governance.changes.signing import Keyring, keyring
from ledger.chain import ChainReport, genesis
from ledger.clock import SystemClock
from ledger.database import reading_uri
from ledger.errors import GitFailed, LedgerError
from ledger.integrity.audit import Query, Row, audit
from ledger.integrity.findings import RECORD_GONE, Anchor, Finding
from ledger.integrity.heads import SignatureResult, SignedHead, read_lines
from ledger.vocabulary import Frozen, Head
from tools.git import Git

if TYPE_CHECKING:
    from daemon.settings.config import Config

NAMED = 5  # commits that a note names
KEY_REMEDY = (
    "Restore the key from a backup. Without it a new one is made at the next start: then list the fingerprint of the "
    "old one in `changes.other_signers`."
)
HEADS_REMEDY = (
    "The other places still vouch for the record. Look at who could write there; the next end of a session writes both "
    "places again."
)


class CommitReport(Frozen):
    """One commit of the daemon. ``problems`` is empty when everything agrees."""

    commit: str
    problems: tuple[str, ...] = ()
    note: str = ""

    @property
    def ok(self) -> bool:
        return not self.problems


class RecordReport(Frozen):
    """What was found of the whole record. ``anchors``: heads from outside that it was compared with."""

    chain: ChainReport
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    anchors: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings


class VerifyReport(Frozen):
    """What ``ouro verify`` found. ``asked``: what the range was taken for, where that is something else."""

    commits: tuple[CommitReport, ...] = ()
    record: RecordReport
    asked: str = ""

    @property
    def ok(self) -> bool:
        return self.record.ok and all(one.ok for one in self.commits)


async def verify_record(config: Config) -> RecordReport:
    """The whole record. Raises ``LedgerError`` where there is none and no sign of an earlier one."""
    return (await _looked(config))[0]


async def verify_commits(config: Config, asked: str | None) -> VerifyReport:
    """The commits of the daemon in ``asked`` (a commit or a range; None: all that HEAD holds), and the whole record.

    Raises ``GitFailed`` for a range that is none.
    """
    git = Git(config.places, config.env)
    ring, _ = await asyncio.to_thread(keyring, config.places, config.settings.changes)
    taken = ""
    if asked is None:
        unborn = await git.call("rev-parse", "-q", "--verify", "HEAD^{commit}", ok=(0, 1, 128))
        revisions: tuple[str, ...] = ("--end-of-options", "HEAD", "--") if unborn.code == 0 else ()
    else:
        revisions, taken = await revisions_of(git, asked)
    found = await carriers(git, ring, revisions) if revisions else ()
    record, rows = await _looked(config, extra=found)
    lost = not ring.own
    return VerifyReport(
        commits=tuple(_commit_report(one, rows, no_key=lost) for one in found), record=record, asked=taken
    )


def _commit_report(one: Carrier, rows: dict[int, tuple[object, object]], *, no_key: bool) -> CommitReport:
    """A commit against its signature and the entry that it names. That of another daemon names another record."""
    problems = list(one.problems)
    if one.standing is SignatureResult.LISTED:
        return CommitReport(
            commit=one.commit, problems=tuple(problems), note=f"signed with {one.signer}, a key that you have listed"
        )
    if no_key and one.standing is SignatureResult.UNKNOWN:
        problems.insert(0, "this machine holds no key of the daemon")
    if one.head is not None:
        row = rows.get(one.head.seq)
        if row is None:
            problems.append(f"the ledger has no entry {one.head.seq}")
        else:
            if row[0] != one.head.hash:
                problems.append(f"entry {one.head.seq} of the ledger has another hash")
            if row[1] != one.op:
                problems.append(f"entry {one.head.seq} of the ledger belongs to another op")
    return CommitReport(commit=one.commit, problems=tuple(problems))


async def _looked(
    config: Config, *, extra: Sequence[Carrier] = ()
) -> tuple[RecordReport, dict[int, tuple[object, object]]]:
    """The report; and hash and op of the entries that ``extra`` commits name."""
    places, settings = config.places, config.settings.changes
    git, findings, notes = Git(places, config.env), list[Finding](), list[str]()
    ring, no_key = await asyncio.to_thread(keyring, places, settings)
    kept = await Heads(places=places, git=git, settings=settings, clock=SystemClock()).read()
    found: tuple[Carrier, ...] = ()
    try:
        found = await carriers(git, ring, EVERYTHING)
    except GitFailed as error:
        findings.append(
            Finding(
                said=f"the commits of the repository cannot be looked through ({error.message.rstrip('.')})",
                remedy="`git fsck` says what is broken; until then no commit vouches for the record.",
            )
        )
    anchors = [*_of_commits(found, notes), *_of_heads(kept, ring, genesis(places.repo_id), findings)]
    if not places.ledger.exists():
        return _gone(places.ledger, anchors, findings, notes), {}
    wanted = {one.head.seq for one in extra if one.head is not None}
    chain, rows = await _audited(places.ledger, places.repo_id, anchors, ring, wanted)
    told = tuple(f for f in chain.findings if not (f.row is None and f.said in {g.said for g in findings}))
    findings += [*told, *_places_agree(kept, chain, ring), *await asyncio.to_thread(_leftovers, places.ledger, notes)]
    if no_key and (anchors or found):
        remedy = KEY_REMEDY
        findings.append(Finding(said=no_key, remedy=remedy))
    if chain.ok and chain.entries and not any(not anchor.unknown for anchor in anchors):
        notes.append("nothing outside of the ledger vouches for it yet: no signed commit, no signed end of a session")
    elif chain.ok:
        notes += _behind(chain, anchors)
    report = RecordReport(chain=chain, findings=tuple(findings), notes=(*notes, *chain.notes), anchors=len(anchors))
    return report, rows


def _gone(ledger: Path, anchors: Sequence[Anchor], findings: list[Finding], notes: list[str]) -> RecordReport:
    ours = [anchor for anchor in anchors if not anchor.unknown]
    if not ours:
        raise LedgerError("There is no record of this repository yet.", remedy="`ouro run` or `ouro fix` begins one.")
    last = max(ours, key=lambda anchor: anchor.seq)
    said = f"the record is gone: there is no {ledger}, and {last.where} names its entry {last.seq}"
    finding = Finding(said=said, row=1, last=last.seq, remedy=RECORD_GONE)
    chain = ChainReport(ok=False, entries=0, head=Head(seq=0, hash=""), first_bad=1, reason=said, findings=(finding,))
    return RecordReport(chain=chain, findings=(*findings, finding), notes=tuple(notes), anchors=len(anchors))


async def _audited(
    ledger: Path, repo_id: str, anchors: Sequence[Anchor], ring: Keyring, wanted: set[int]
) -> tuple[ChainReport, dict[int, tuple[object, object]]]:
    from daemon.record.projections import SCRIPTS
    from governance.approval.requests import InboxCheck

    stop = threading.Event()
    rows = Rows(wanted)

    def work() -> ChainReport:
        started = time.monotonic()
        origin = Head(seq=0, hash=genesis(repo_id))
        try:
            address = reading_uri(ledger)
        except LedgerError as error:
            finding = Finding(said=error.message.rstrip("."), remedy=error.remedy, row=1)
            return ChainReport(ok=False, entries=0, head=origin, first_bad=1, reason=finding.said, findings=(finding,))
        report = audit(
            address,
            origin=origin,
            anchors=anchors,
            judge=ring,
            projections=(InboxCheck(), rows),
            scripts=SCRIPTS,
            whole=True,
            stop=stop,
        )
        return report.model_copy(update={"duration_ms": int((time.monotonic() - started) * 1000)})

    try:
        return await asyncio.to_thread(work), rows.found
    except asyncio.CancelledError:
        stop.set()
        raise


class Rows:
    """Hears the chain for hash and op of some entries."""

    def __init__(self, wanted: set[int]) -> None:
        self._wanted = wanted
        self.found: dict[int, tuple[object, object]] = {}

    def hear(self, rows: Sequence[Row]) -> None:
        """Keep what is wanted of the next rows."""
        if self._wanted:
            self.found.update((row[0], (row[7], row[2])) for row in rows if row[0] in self._wanted)

    def compare(self, query: Query) -> Iterator[Finding]:
        """No table goes with it."""
        yield from ()


def _of_commits(found: Sequence[Carrier], notes: list[str]) -> list[Anchor]:
    """Heads that signed commits name. What carries our trailers and no signature is named, and vouches for nothing."""
    anchors = []
    unsigned = defaultdict[str, list[str]](list)
    listed = 0
    for one in found:
        if one.standing is SignatureResult.NONE:
            unsigned[one.why].append(one.commit[:12])
        elif one.standing is SignatureResult.LISTED:
            listed += 1
        elif one.head is not None:
            unknown = one.signer if one.standing is SignatureResult.UNKNOWN else ""
            anchors.append(
                Anchor(seq=one.head.seq, hash=one.head.hash, where=one.where, unknown=unknown, source="commits")
            )
    for why, names in unsigned.items():
        shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        notes.append(f"no daemon's signature stands under these commits with its trailers: {shown} ({why})")
    if listed:
        notes.append(f"{listed} commits are signed with a key that you have listed: they name another record")
    return anchors


def _of_heads(kept: Sequence[StoredHeads], ring: Keyring, origin: str, findings: list[Finding]) -> list[Anchor]:
    """Heads outside of the ledger; invalid lines become findings."""
    anchors = []
    for place in kept:
        if place.problem:
            findings.append(Finding(said=f"{place.place} cannot be read: {place.problem}", remedy=HEADS_REMEDY))
        heads, odd = read_lines(place.data or b"")
        for number in odd[:NAMED]:
            findings.append(Finding(said=f"line {number} of {place.place} is no signed head", remedy=HEADS_REMEDY))
        for number, head in heads:
            where = f"line {number} of {place.place}"
            if why := _wrong(head, ring, origin):
                said = f"{where}, which names entry {head.seq}, vouches for nothing: {why}"
                findings.append(Finding(said=said, row=head.seq, remedy=HEADS_REMEDY))
                continue
            found = ring.judge(head.signature, head.message)
            unknown = found.signer if found.standing is SignatureResult.UNKNOWN else ""
            anchors.append(Anchor(seq=head.seq, hash=head.hash, where=where, unknown=unknown, source=place.place))
    return anchors


def _wrong(head: SignedHead, ring: Keyring, origin: str) -> str:
    if head.genesis != origin:
        return "it names the record of another repository"
    return ring.judge(head.signature, head.message).why


def _places_agree(kept: Sequence[StoredHeads], chain: ChainReport, ring: Keyring) -> list[Finding]:
    """What one of both places holds and the other lacks: each is written whole at the end of a session.

    Heads of other keys are left out: another user's daemon has the same ref and its own file.
    """
    lines = [
        {head.line for head in place.heads if ring.judge(head.signature, head.message).standing is SignatureResult.OURS}
        for place in kept
    ]
    found = []
    for place, mine, other in zip(kept, lines, reversed(lines), strict=True):
        lacking = sorted(head.seq for head in (h for each in kept for h in each.heads) if head.line in other - mine)
        if place.data is None and not place.problem and other:
            found.append(Finding(said=f"{place.place} is lost", row=lacking[-1], remedy=HEADS_REMEDY))
        elif lacking:
            said = f"{place.place} lacks the head of entry {lacking[-1]}, which the other place has"
            found.append(Finding(said=said, row=lacking[-1], remedy=HEADS_REMEDY))
    if not any(place.heads for place in kept) and chain.signed_ends:
        both = f"{kept[0].place} and {kept[1].place} are lost"
        said = f"{both}: the session that ended with entry {chain.signed_ends} was signed"
        found.append(Finding(said=said, row=chain.signed_ends, remedy=HEADS_REMEDY))
    return found


def _behind(chain: ChainReport, anchors: Sequence[Anchor]) -> list[str]:
    """Entries after the newest head: a live session, or one that was cut off."""
    last = max(anchor.seq for anchor in anchors if not anchor.unknown)
    if chain.head.seq <= last:
        return []
    return [
        f"entries {last + 1} to {chain.head.seq} are behind the newest head from outside, and rest on the chain alone"
    ]


def _leftovers(ledger: Path, notes: list[str]) -> list[Finding]:
    """Files of SQLite beside the ledger that do not belong there."""
    found = []
    journal = ledger.with_name(ledger.name + "-journal")
    if journal.is_symlink() or journal.exists():
        remedy = "SQLite would play it back into the ledger: move it away before anything opens the ledger for writing."
        found.append(Finding(said=f"{journal} lies beside the ledger, which never has one", remedy=remedy))
    wal = ledger.with_name(ledger.name + "-wal")
    if wal.exists() and wal.stat().st_size and not _held(ledger):
        notes.append(f"{wal.name} holds entries that no daemon has brought home: the last one did not end by itself")
    return found


def _held(ledger: Path) -> bool:
    """Whether a daemon writes."""
    try:
        fd = os.open(
            ledger.with_name(ledger.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
