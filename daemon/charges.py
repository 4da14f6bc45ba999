"""Model calls that a kill cut off: nobody knows what they cost, so they are charged at the most that they could."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from governance.budget import estimate
from governance.record import Recorder
from kernel.provider import Price
from ledger.store import Ledger, Statement
from ledger.vocabulary import Entry, EntryKind, Route, Spend

STARTED, ENDED = "call.started", "call.ended"


def cut_off(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Pure: the starts among the entries of one op that no end belongs to. Calls of one purpose end in their order."""
    begun: dict[tuple[object, ...], deque[Entry]] = defaultdict(deque)
    for entry in entries:
        payload = entry.payload
        call = (entry.phase, payload.get("purpose"), payload.get("provider"))
        if payload.get("event") == STARTED:
            begun[call].append(entry)
        elif payload.get("event") == ENDED and begun[call]:
            begun[call].popleft()
    return tuple(sorted((entry for left in begun.values() for entry in left), key=lambda entry: entry.seq))


async def charge_cut_off(ledger: Ledger, record: Recorder, *, provider: str, price: Price | None) -> int:
    """Settle what a kill left open of the op of ``record``; returns how many calls that were.

    ``price`` is that of ``provider``. A call to another one, which the settings no longer name, counts with its tokens
    only: its price is not known any more.
    """
    entries = await ledger.entries(op_id=record.op_id, kinds=(EntryKind.CALL, EntryKind.DECISION))
    chosen = [entry.payload["route"] for entry in entries if entry.payload.get("event") == "route.chosen"]
    calls = cut_off(entries)
    for entry in calls:
        said = entry.payload
        known = price if said["provider"] == provider else None
        usd = estimate(known, said["tokens_in"], said["max_tokens"]) or 0
        record.add(Spend(usd_micro=usd, tokens_in=said["tokens_in"], tokens_out=said["max_tokens"], calls=1))
        await record.note(
            EntryKind.CALL, ENDED, phase=entry.phase, purpose=said["purpose"], provider=said["provider"],
            usd_micro=usd, tokens_in=said["tokens_in"], tokens_out=said["max_tokens"], ms=0,
            answer=await ledger.put_blob(b""), problem="the daemon was killed: charged at what was held for the call",
            causes=(entry.seq,), project=(_row(entry, usd, chosen[-1] if chosen else Route.STANDARD.value),),
        )  # fmt: skip
    return len(calls)


def _row(entry: Entry, usd: int, route: str) -> Statement:
    said, phase = entry.payload, entry.phase.value if entry.phase else ""
    row = (entry.at[:10], said["provider"], entry.op_id, route, phase, usd, said["tokens_in"], said["max_tokens"])
    return ("INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
