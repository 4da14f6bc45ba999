"""Comparison of known heads (signed commits, head files, signed heads inside the ledger) with the stored entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import ValidationError

from ledger.events.session import SessionEnded
from ledger.integrity.findings import RECORD_GONE, Anchor, Finding
from ledger.integrity.heads import Judge, SignatureResult, SignedHead
from ledger.integrity.report import CheckState, missing_at_end
from ledger.parsers.json import read_json
from ledger.vocabulary import Head

UNKNOWN_KEY = (
    "If it is a former key of this daemon, or that of another one, list it in `changes.other_signers` of your own "
    "settings; else somebody made the record anew, with a key of his own."
)


def verified_heads(
    ends: Sequence[tuple[int, bytes]], told: CheckState, *, judge: Judge, origin: Head
) -> Iterator[Anchor]:
    """Signed heads of session-end entries that verify under our key or a listed one; all others become findings."""
    unsigned = 0
    for seq, body in ends:
        try:
            payload = read_json(body)["payload"]
            if payload.get("event") != SessionEnded.NAME:
                continue
            if payload.get("signed") is None:
                unsigned += 1
                continue
            signed = SignedHead.model_validate({**payload["signed"], "genesis": origin.hash})
            told.signed_ends = seq
        except (ValueError, TypeError, KeyError, AttributeError, ValidationError, RecursionError):
            told.add(Finding(said=f"the signed head in entry {seq} cannot be read", row=seq))
            continue
        found = judge.judge(signed.signature, signed.message)
        where = f"the end of a session in entry {seq}"
        if found.standing in (SignatureResult.OURS, SignatureResult.LISTED):
            yield Anchor(seq=signed.seq, hash=signed.hash, where=where, source="chain")
        elif found.standing is SignatureResult.UNKNOWN:
            told.add(
                Finding(
                    said=f"the head in entry {seq} is signed with an unknown key, {found.signer}",
                    row=seq,
                    remedy=UNKNOWN_KEY,
                )
            )
        else:
            told.add(Finding(said=f"the signature of the head in entry {seq} does not hold: {found.why}", row=seq))
    if unsigned:
        told.notes.append(f"{unsigned} sessions ended without a signed head (as before heads were signed)")


def compare(told: CheckState, anchors: Iterable[Anchor], *, hashes: dict[int, str], last: int) -> None:
    """Add findings for anchors that do not match their entry. A matching anchor vouches for all entries before it.

    Each source is compared by itself: a forged head of one must not vouch for what another one contradicts.
    """
    by: dict[str, list[Anchor]] = {}
    for anchor in sorted(anchors, key=lambda anchor: anchor.seq):
        if anchor.seq and not anchor.unknown:
            by.setdefault(anchor.source, []).append(anchor)
    wrong: dict[tuple[int, int], Finding] = {}
    doubted: dict[tuple[int, int], Finding] = {}
    for theirs in by.values():
        held, behind = 0, None
        for anchor in theirs:
            own = hashes.get(anchor.seq)
            if own == anchor.hash:
                held = anchor.seq
            elif own is not None:
                wrong.setdefault((held + 1, anchor.seq), _rewritten(anchor, held))
            elif anchor.seq > last:
                behind = anchor
        if behind is not None:
            wrong.setdefault((last + 1, behind.seq), _cut(behind, last))
            if held < last:
                doubted.setdefault((held + 1, last), _doubted(held + 1, last))
    told.findings += [*wrong.values(), *doubted.values()]
    for first, _ in wrong:
        told.broken(first)


def _cut(anchor: Anchor, last: int) -> Finding:
    said = f"{missing_at_end(last + 1, anchor.seq)}; {anchor.where} names entry {anchor.seq}"
    return Finding(said=said, row=last + 1, last=anchor.seq, remedy=RECORD_GONE)


def _doubted(first: int, last: int) -> Finding:
    said = f"no head that is left vouches for entries {first} to {last}: they may have been rewritten too"
    return Finding(said=said, row=first, last=last, remedy=RECORD_GONE)


def _rewritten(anchor: Anchor, held: int) -> Finding:
    said = f"entry {anchor.seq} is not the one that {anchor.where} names"
    if held + 1 < anchor.seq:
        said += f": it, or one from entry {held + 1} on, was rewritten"
    return Finding(said=said, row=held + 1, last=anchor.seq)


def strangers(anchors: Iterable[Anchor], told: CheckState, *, hashes: dict[int, str]) -> None:
    """Add one finding for each unknown signing key: another daemon's, a former key of ours, or a forger's."""
    by: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        if anchor.unknown:
            by.setdefault(anchor.unknown, []).append(anchor)
    for signer, theirs in by.items():
        other = sorted((a for a in theirs if hashes.get(a.seq) != a.hash), key=lambda anchor: anchor.seq)
        first = min(theirs, key=lambda anchor: anchor.seq) if not other else other[0]
        said = f"{first.where} is signed with an unknown key, {signer}, and names entry {first.seq}, "
        said += "which the record does not have like that" if other else "as it stands in the record"
        if len(theirs) > 1:
            said += f"; so are {len(theirs) - 1} more heads"
        told.add(Finding(said=said, row=first.seq, remedy=UNKNOWN_KEY))
