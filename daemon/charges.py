"""Model calls that a kill cut off: their cost is unknown, so they are charged at the most that they could cost."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from governance.budget import estimate
from governance.record import Recorder
from kernel.provider import Price
from ledger.events.event import read_event
from ledger.events.model import CallEnded, CallStarted
from ledger.events.op import RouteChosen
from ledger.store import Ledger, Statement
from ledger.vocabulary import Entry, Route, Spend, State

Call = tuple[Entry, CallStarted]


def cut_off(entries: Iterable[Entry]) -> tuple[Call, ...]:
    """The calls among the entries of one op that have a start and no end. Calls of one purpose end in order. Pure."""
    begun: dict[tuple[State | None, str, str], deque[Call]] = defaultdict(deque)
    for entry in entries:
        event = read_event(entry)
        if isinstance(event, CallStarted):
            begun[entry.phase, event.purpose, event.provider].append((entry, event))
        elif isinstance(event, CallEnded) and (calls := begun[entry.phase, event.purpose, event.provider]):
            calls.popleft()
    return tuple(sorted((call for left in begun.values() for call in left), key=lambda call: call[0].seq))


async def charge_cut_off(ledger: Ledger, record: Recorder, *, provider: str, price: Price | None) -> int:
    """Settle what a kill left open of the op of ``record``; returns how many calls that were.

    ``price`` is that of ``provider``. A call to another one, which the settings no longer name, counts with its tokens
    only: its price is not known any more.
    """
    chosen = await ledger.events(RouteChosen, op_id=record.op_id, newest_first=True, limit=1)
    route = chosen[0][1].route if chosen else Route.STANDARD
    calls = cut_off(await ledger.entries(op_id=record.op_id, events=(CallStarted, CallEnded)))
    for entry, call in calls:
        usd = estimate(price if call.provider == provider else None, call.tokens_in, call.max_tokens) or 0
        record.add(Spend(usd_micro=usd, tokens_in=call.tokens_in, tokens_out=call.max_tokens, calls=1))
        ended = CallEnded(
            purpose=call.purpose,
            provider=call.provider,
            usd_micro=usd,
            tokens_in=call.tokens_in,
            tokens_out=call.max_tokens,
            ms=0,
            answer=await ledger.put_blob(b""),
            problem="the daemon was killed: charged at what was held for the call",
        )
        project = (_row(entry, call, usd, route),)
        await record.note(ended, phase=entry.phase, causes=(entry.seq,), project=project)
    return len(calls)


def _row(entry: Entry, call: CallStarted, usd: int, route: Route) -> Statement:
    phase = entry.phase.value if entry.phase else ""
    row = (entry.at[:10], call.provider, entry.op_id, route.value, phase, usd, call.tokens_in, call.max_tokens)
    return ("INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
