"""The definitions of every table that other rooms keep beside the record: what else lies in the file is foreign."""

from __future__ import annotations

from governance import approval, budget, questions, refused
from governance.grounding import trust
from sensors import registry
from sensors.intake import queue

SCRIPTS: tuple[str, ...] = (
    *(room.SCHEMA for room in (approval, budget, questions, refused, trust, queue)),
    *registry.tables(),
)
