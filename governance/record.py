"""How governance writes to the ledger: one call, redacted, with the op's cost so far."""

from __future__ import annotations

from typing import Any

from governance.irongate.g15_secrets import redact
from ledger.store import Ledger, Statement
from ledger.vocabulary import Draft, Entry, EntryKind, Spend, State


def _clean(value: Any) -> Any:
    """Redact secrets in every text of a payload; make text valid Unicode."""
    if isinstance(value, str):
        return redact(value.encode("utf-8", errors="replace").decode("utf-8"))
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


class Recorder:
    """Writes the entries of one op (``op_id`` None: of the daemon). Keeps the op's running cost."""

    def __init__(self, ledger: Ledger, *, op_id: str | None = None, spend: Spend | None = None) -> None:
        self.ledger = ledger
        self.op_id = op_id
        self.spend = spend or Spend()

    async def note(
        self,
        kind: EntryKind,
        event: str,
        *,
        phase: State | None = None,
        project: tuple[Statement, ...] = (),
        causes: tuple[int, ...] = (),
        **payload: Any,
    ) -> Entry:
        """Append one entry and return it when it is durable. ``event`` names what happened; the rest is material."""
        draft = Draft(
            kind=kind,
            op_id=self.op_id,
            phase=phase,
            payload={"event": event, **_clean(payload)},
            spend=self.spend,
            causes=causes,
        )
        entries = await self.ledger.append(draft, project=project)
        return entries[0]

    def add(self, spend: Spend) -> None:
        """Count what was just spent: every later entry carries it."""
        self.spend = self.spend.plus(spend)
