"""Writes governance's ledger entries: redacted, and with the op's running cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from governance.irongate.secrets.redaction import redact
from ledger.events.event import LedgerEvent
from ledger.store import Ledger, Statement
from ledger.vocabulary import Draft, Entry, Spend, State

MOST_REPLIES = 64
"""Maximum number of model replies with a convergence record, for each op. The others are only counted at its end."""


def clean(value: Any) -> Any:
    """Redact secrets in every text of a payload and replace invalid Unicode."""
    if isinstance(value, str):
        return redact(value.encode("utf-8", errors="replace").decode("utf-8"))
    if isinstance(value, dict):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


class Recorder:
    """Writes the entries of one op (``op_id`` None: of the daemon) and keeps the op's running cost."""

    def __init__(self, ledger: Ledger, *, op_id: str | None = None, spend: Spend | None = None) -> None:
        self.ledger = ledger
        self.op_id = op_id
        self.spend = spend or Spend()
        self._claims = 0

    async def note(
        self,
        event: LedgerEvent,
        *,
        phase: State | None = None,
        project: tuple[Statement, ...] = (),
        causes: tuple[int, ...] = (),
        also: Sequence[Draft] = (),
    ) -> Entry:
        """Append the entry of an event and return it once it is durable. ``phase`` None: the event's own.

        ``also`` (the entries directly after it) and ``project`` are committed in the same transaction.
        """
        entries = await self.ledger.append(self.draft(event, phase=phase, causes=causes), *also, project=project)
        return entries[0]

    def draft(self, event: LedgerEvent, *, phase: State | None = None, causes: tuple[int, ...] = ()) -> Draft:
        """An unwritten entry of this op, with the cost so far."""
        draft = event.draft(op_id=self.op_id, phase=phase, spend=self.spend, causes=causes)
        return draft.model_copy(update={"payload": clean(draft.payload)})

    def add(self, spend: Spend) -> None:
        """Add to the running cost that every later entry carries."""
        self.spend = self.spend.plus(spend)

    def may_claim(self) -> bool:
        """Whether one more model reply may have a convergence record. Counts the reply."""
        self._claims += 1
        return self._claims <= MOST_REPLIES
