"""Scripts that define the tables of other rooms in the ledger file; the audit reports any other table as foreign."""

from __future__ import annotations

from governance import budget
from governance.approval import inbox, questions, refusals
from governance.grounding import trust
from sensors import registry
from sensors.intake import queue

SCRIPTS: tuple[str, ...] = (
    *(room.SCHEMA for room in (inbox, budget, questions, refusals, trust, queue)),
    *registry.tables(),
)
