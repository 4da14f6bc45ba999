"""Writes governance's ledger entries: redacted, and with the op's running cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from governance.grounding.records import MOST_REPLIES
from governance.irongate.g15_secrets import redact
from ledger.store import Ledger, Statement
from ledger.vocabulary import Draft, Entry, EntryKind, Spend, State


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
        kind: EntryKind,
        event: str,
        *,
        phase: State | None = None,
        project: tuple[Statement, ...] = (),
        causes: tuple[int, ...] = (),
        also: Sequence[Draft] = (),
        **payload: Any,
    ) -> Entry:
        """Append one entry and return it once it is durable. ``event`` names what happened, ``payload`` its data.

        ``also`` (the entries directly after it) and ``project`` are committed in the same transaction.
        """
        first = self.draft(kind, event, phase=phase, causes=causes, **payload)
        entries = await self.ledger.append(first, *also, project=project)
        return entries[0]

    def draft(
        self,
        kind: EntryKind,
        event: str,
        *,
        phase: State | None = None,
        causes: tuple[int, ...] = (),
        **payload: Any,
    ) -> Draft:
        """An unwritten entry of this op, with the cost so far."""
        return Draft(
            kind=kind,
            op_id=self.op_id,
            phase=phase,
            payload={"event": event, **clean(payload)},
            spend=self.spend,
            causes=causes,
        )

    def add(self, spend: Spend) -> None:
        """Add to the running cost that every later entry carries."""
        self.spend = self.spend.plus(spend)

    def may_claim(self) -> bool:
        """Whether one more model reply may have a convergence record. Counts the reply."""
        self._claims += 1
        return self._claims <= MOST_REPLIES
