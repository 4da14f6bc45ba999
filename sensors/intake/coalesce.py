"""Which waiting signals go into one op: pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from ledger.vocabulary import Operation, Source, Urgency
from sensors.intake.records import Item

HASTY = frozenset({Urgency.CRITICAL, Urgency.HIGH})


def wait_s(urgency: Urgency, coalesce_s: float) -> float:
    """How long a signal waits for others on its files: critical and high do not."""
    return 0.0 if urgency in HASTY else coalesce_s


def companions(lead: Item, waiting: Iterable[Item], limit: int) -> tuple[Item, ...]:
    """The items that share a file with ``lead`` and may be merged with it: the first ``limit``, the lead included.

    Items of different boots, commits, snapshots or closure kinds never merge: their op would have no single tree, or
    a reflex repair would have to wait for a person's yes.
    """
    files = set(lead.signal.targets)
    fitting = (
        item
        for item in waiting
        if item.id != lead.id and item.merges_with == lead.merges_with and not files.isdisjoint(item.signal.targets)
    )
    return tuple(itertools.islice(fitting, max(0, limit - 1)))


def merge(items: Sequence[Item], *, op_id: str, base: str, created_at: str) -> Operation:
    """One op from a lead and its companions: every goal and target, the highest urgency, the most attempts."""
    signals = tuple(item.signal for item in items)
    targets = tuple(dict.fromkeys(path for signal in signals for path in signal.targets))
    origin: Source = signals[0].source
    return Operation(
        id=op_id,
        origin=origin,
        signals=signals,
        targets=targets,
        urgency=max(signal.urgency for signal in signals),
        base=base,
        created_at=created_at,
        attempt=max(item.attempts for item in items) + 1,
    )
