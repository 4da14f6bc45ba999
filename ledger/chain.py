"""The hash chain: pure functions from drafts to stored rows and back, and the walk that finds the first bad row.

The stored bytes of an entry are the canonical JSON of the entry without its two hashes::

    {"at":...,"causes":[...],"kind":...,"op_id":...,"payload":{...},"phase":...,"seq":...,"spend":{...}}

and ``hash = sha256("ouro-ledger-1\\n" + previous hash (hex) + "\\n" + stored bytes)``. The previous hash of the first
entry is sha256 of the repo-id, so a ledger cannot be passed off as that of another repository.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

from pydantic import ValidationError

from ledger.canonical import canonical
from ledger.errors import ChainBroken, LedgerError
from ledger.ids import sha256_hex
from ledger.integrity.findings import Finding
from ledger.vocabulary import Draft, Entry, Frozen, Head

DOMAIN = b"ouro-ledger-1\n"
STAMP_LENGTH = len("2026-01-01T00:00:00.000Z")
BATCH = 256  # rows in memory during a walk
COLUMNS = "seq, at, op_id, kind, phase, body, prev, hash"


class StoredRow(NamedTuple):
    """One row of ``entries``, in the order of ``COLUMNS``. ``body`` holds the bytes that are hashed."""

    seq: int
    at: str
    op_id: str | None
    kind: str
    phase: str | None
    body: bytes
    prev: str
    hash: str


class Flaw(NamedTuple):
    """A defect as a clause, and the first and last entry number that it concerns."""

    said: str
    row: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A draft as bytes: its entry without timestamp and sequence number, which the writer assigns."""

    draft: Draft
    before_seq: bytes
    after_seq: bytes


class ChainReport(Frozen):
    """Result of a check. ``entries`` counts the good ones before the first bad row; ``head`` is the last of them."""

    ok: bool
    entries: int
    head: Head
    first_bad: int | None = None  # the first sequence number at which the chain does not hold
    reason: str = ""
    bad_blobs: tuple[str, ...] = ()  # missing blobs, and blobs that do not match their hash or size
    findings: tuple[Finding, ...] = ()  # every defect; empty exactly when ``ok``
    signed_ends: int = 0  # number of the last session-end entry with a signed head; 0: none
    notes: tuple[str, ...] = ()  # weaknesses that are no defects, e.g. sessions that ended without a signed head
    duration_ms: int = 0

    @property
    def entries_per_s(self) -> int:
        return self.entries * 1000 // max(self.duration_ms, 1)

    def raise_if_broken(self) -> None:
        """Raises ``ChainBroken`` with the first bad row."""
        if not self.ok:
            raise ChainBroken(
                f"The ledger does not verify: {self.reason}.",
                seq=self.first_bad or self.head.seq,
                remedy="Keep the file as evidence; compare it with a backup and with the trailers of signed commits.",
            )


def genesis(repo_id: str) -> str:
    """The previous hash of the first entry: sha256 of the repo-id."""
    return sha256_hex(repo_id)


def link(prev: str, body: bytes) -> str:
    """The hash of an entry, from its stored bytes and the previous hash ``prev`` (hex)."""
    return sha256(b"".join((DOMAIN, prev.encode(), b"\n", body))).hexdigest()


def freeze(draft: Draft) -> Fragment:
    """Serialise a draft. Raises ``LedgerError`` for anything that canonical JSON cannot hold."""
    fields: dict[str, Any] = {
        "causes": draft.causes,
        "kind": draft.kind.value,
        "op_id": draft.op_id,
        "payload": draft.payload,
        "phase": draft.phase.value if draft.phase else None,
    }
    try:
        inner = canonical(fields)[1:-1]
        spend = canonical(draft.spend.model_dump())
        # What the caller gets back is what a reader will get: tuples become lists, keys become text.
        payload = json.loads(b"{%b}" % inner)["payload"]
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(
            f"A ledger payload of kind {draft.kind.value} cannot be stored: {error}.",
            remedy="Use text, whole numbers, booleans, null, lists and mappings with text keys.",
        ) from error
    return Fragment(
        draft=draft.model_copy(update={"payload": payload}),
        before_seq=inner + b',"seq":',
        after_seq=b',"spend":' + spend + b"}",
    )


def place(fragment: Fragment, *, after: Head, at: str) -> tuple[StoredRow, Entry]:
    """Row and entry of a fragment at time ``at``, as the successor of ``after``."""
    seq, draft = after.seq + 1, fragment.draft
    body = b'{"at":"%b",%b%d%b' % (at.encode(), fragment.before_seq, seq, fragment.after_seq)
    own = link(after.hash, body)
    row = StoredRow(
        seq=seq,
        at=at,
        op_id=draft.op_id,
        kind=draft.kind.value,
        phase=draft.phase.value if draft.phase else None,
        body=body,
        prev=after.hash,
        hash=own,
    )
    entry = Entry(
        kind=draft.kind,
        op_id=draft.op_id,
        phase=draft.phase,
        payload=draft.payload,
        spend=draft.spend,
        causes=draft.causes,
        seq=seq,
        at=at,
        prev=after.hash,
        hash=own,
    )
    return row, entry


def entry_of(seq: object, body: object, prev: object, own: object) -> Entry:
    """Check and parse stored bytes.

    Raises ``ChainBroken`` when they do not hash to ``own``, ``LedgerError`` when this version cannot parse them.
    """
    if not isinstance(body, bytes) or not isinstance(prev, str) or link(prev, body) != own:
        raise ChainBroken(
            f"Entry {seq} of the ledger does not hash to what the chain says.",
            seq=seq if isinstance(seq, int) else 0,
            remedy="`ouro ledger verify` names the first bad row.",
        )
    try:
        return Entry.model_validate({**json.loads(body), "prev": prev, "hash": own})
    except ValidationError as error:
        raise LedgerError(
            f"Entry {seq} of the ledger uses words that this version does not know.",
            remedy="Read it with the version of Ouroboros that wrote it.",
        ) from error


def walk(
    rows: Iterable[StoredRow | tuple[Any, ...]], *, start: Head, anchors: Mapping[int, str] | None = None
) -> tuple[Head, str]:
    """Recompute the chain after ``start`` from stored bytes.

    Returns the last good head and why the next row is bad (empty when all are good). ``anchors`` maps sequence numbers
    to the hashes that signed commits name for them.
    """
    known = anchors or {}
    head = start
    for batch, flaws in check_rows(rows, start=start):
        for row in batch:
            place, own = row[0], row[7]
            flaw = flaws.get(id(row))
            reason = flaw.said if flaw else ""
            if not reason and known.get(place, own) != own:
                reason = f"entry {place} is not the one that a signed commit names"
            if reason:
                return head, reason
            head = Head(seq=place, hash=own)
    return head, ""


def check_rows(
    rows: Iterable[StoredRow | tuple[Any, ...]], *, start: Head
) -> Iterator[tuple[list[StoredRow | tuple[Any, ...]], dict[int, Flaw]]]:
    """The rows after ``start`` in batches, each with the flaws of its bad rows (by ``id(row)``).

    A batch is first checked as a whole, which is fast, and row by row only where that fails. The row after a bad one
    is compared with the number and hash that the bad row claims, so that each alteration is reported once.
    """
    head = start
    stream = iter(rows)
    while batch := list(islice(stream, BATCH)):
        flaws: dict[int, Flaw] = {}
        if not _all_good(batch, start=head):
            for row in batch:
                if flaw := _flaw(StoredRow(*row), after=head):
                    flaws[id(row)] = flaw
                head = _said_by(row, after=head)
        else:
            head = Head(seq=batch[-1][0], hash=batch[-1][7])
        yield batch, flaws


def _said_by(row: StoredRow | tuple[Any, ...], *, after: Head) -> Head:
    """The head that a row claims to be; ``after`` fills in for columns of a wrong type."""
    seq, own = row[0], row[7]
    return Head(
        seq=seq if type(seq) is int and seq > 0 else after.seq + 1, hash=own if isinstance(own, str) else after.hash
    )


def _all_good(batch: list[StoredRow | tuple[Any, ...]], *, start: Head) -> bool:
    """Whether every row of a batch follows the row before it, and its bytes match its hash and its columns."""
    numbers, ats, ops, kinds, phases, bodies, prevs, hashes = zip(*batch, strict=True)
    try:
        return (
            numbers == tuple(range(start.seq + 1, start.seq + 1 + len(batch)))
            and prevs == (start.hash, *hashes[:-1])
            and list(map(link, prevs, bodies)) == list(hashes)
            and all(map(_columns_agree, numbers, ats, ops, kinds, phases, bodies))
        )
    except (TypeError, AttributeError, ValueError):  # a column of another type than the schema gives it
        return False


def _flaw(row: StoredRow, *, after: Head) -> Flaw | None:
    """Why ``row`` is not a valid successor of ``after``; None when it is."""
    if type(row.seq) is not int or row.seq != after.seq + 1:
        return _misplaced(row.seq, after)
    if row.prev != after.hash:
        return Flaw(f"entry {row.seq} does not follow the entry before it", row.seq, row.seq)
    try:
        hashes = type(row.body) is bytes and link(row.prev, row.body) == row.hash
    except ValueError:  # text that UTF-8 cannot encode
        hashes = False
    if not hashes:
        return Flaw(f"the stored bytes of entry {row.seq} do not hash to its hash", row.seq, row.seq)
    if not _columns_agree(*row[:6]):
        return Flaw(f"entry {row.seq}: {_disagreement(row)}", row.seq, row.seq)
    return None


def _misplaced(seq: object, after: Head) -> Flaw:
    """The flaw of a row whose number is not the one after ``after``: missing, out of order, or no number."""
    due = after.seq + 1
    if type(seq) is not int:
        return Flaw(f"entry {due} has no sequence number, but a {type(seq).__name__}", due, due)
    if seq < due:
        return Flaw(f"entry {seq} stands behind entry {after.seq}: out of order, or twice", seq, seq)
    missing = f"entry {due} is" if seq == due + 1 else f"entries {due} to {seq - 1} are"
    return Flaw(f"{missing} missing, entry {seq} stands in its place", due, seq - 1)


@lru_cache(maxsize=4096)
def _after_causes(kind: str, op_id: str | None) -> str:
    return f'],"kind":{_text(kind)},"op_id":{_text(op_id)},"payload":'


@lru_cache(maxsize=64)
def _before_seq(phase: str | None) -> str:
    return f',"phase":{_text(phase)},"seq":'


def _text(value: str | None) -> str:
    return json.dumps(value, ensure_ascii=False)


def _columns_agree(seq: int, at: str, op_id: str | None, kind: str, phase: str | None, body: bytes) -> bool:
    """Whether the columns equal the values in the bytes, without parsing: canonical JSON has one spelling.

    Sound because ``at`` has a fixed length and no quote, causes are numbers (so the first ``]`` ends them), JSON
    strings are self-delimiting, and only numbers follow the last ``,"phase":``.
    """
    try:
        text = body.decode()
        head, middle = f'{{"at":"{at}","causes":[', _after_causes(kind, op_id)
        return (
            len(at) == STAMP_LENGTH
            and (text.startswith(head + middle) or (text.startswith(head) and text.startswith(middle, text.find("]"))))
            and text.startswith(f'{_before_seq(phase)}{seq},"spend":{{', text.rfind(',"phase":'))
        )
    except (UnicodeDecodeError, TypeError):  # bytes that are not UTF-8, a column of another type than the schema's
        return False


def _disagreement(row: StoredRow) -> str:
    """A clause that names the first column which differs from the bytes. Only for rows known to be bad."""
    try:
        stored = json.loads(row.body)
    except ValueError:
        return "its stored bytes are not JSON"
    for name in ("seq", "at", "op_id", "kind", "phase"):
        if not isinstance(stored, dict) or stored.get(name) != getattr(row, name):
            return f"its column {name} differs from its stored bytes"
    return "its stored bytes are not canonical JSON"
