"""Resuming a search that a crash ended: the op that replaces it skips the steps that were taken in vain.

A layer of L2 is recorded with all that the next one needs (``conversation.repair_layers``). The plan of a cloze
search follows from tree, suspicious lines, model and settings, so the same steps come again. Steps after the first
passing or partial repair are repeated, because those were only in memory.
"""

from __future__ import annotations

from typing import TypeVar

from governance.record import Recorder
from governance.repair.failure_context import FailureContext
from governance.repair.settings import RepairSettings
from ledger.events.op import OpEnded
from ledger.events.repair import RepairRoundEnded, SearchStepTaken
from ledger.ids import sha256_hex
from ledger.vocabulary import RootCause

LOOKED_AT = 64
"""Number of earlier entries that are read, newest first."""


def key_of(tree: str, scene: FailureContext, model: str, settings: RepairSettings) -> str:
    """Identity of a search."""
    lines = "\n".join(f"{place.path}:{place.line}" for place in scene.places)
    failing = "\n".join(result.id for result in scene.failing)
    asked = f"{model}\n{settings.model_dump_json()}"
    return sha256_hex(f"{tree}\n{failing}\n{lines}\n{asked}".encode())[:16]


S = TypeVar("S", SearchStepTaken, RepairRoundEnded)


async def note_step(record: Recorder, key: str, steps: int, found: int) -> None:
    """So many steps are taken at the op's tree, and so many variants mend it or a part of it by now."""
    await record.note(SearchStepTaken(search=key, steps=steps, found=found))


async def steps_before(record: Recorder, key: str) -> int:
    """Steps of the same search that were taken in vain by an op that a crash has ended; 0 when there is none."""
    return max((step.steps for step in await events_before(record, SearchStepTaken, key) if not step.found), default=0)


async def events_before(record: Recorder, wanted: type[S], key: str) -> list[S]:
    """Events of the last other op with the same search, oldest first; none unless a crash has ended that op."""
    found = await record.ledger.events(wanted, newest_first=True, limit=LOOKED_AT)
    earlier = [(e.op_id, event) for e, event in found if event.search == key and e.op_id not in (None, record.op_id)]
    if not earlier:
        return []
    last = earlier[0][0]
    ends = await record.ledger.events(OpEnded, op_id=last, newest_first=True, limit=1)
    if not ends or ends[0][1].root_cause is not RootCause.CRASH_RECOVERED:
        return []
    return [event for op_id, event in reversed(earlier) if op_id == last]
