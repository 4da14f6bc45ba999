"""The definitions of every table that other rooms keep beside the record: what else lies in the file is foreign."""

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
