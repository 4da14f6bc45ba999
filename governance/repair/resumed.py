"""Resuming a search that a crash ended: the op that replaces it skips the steps that were taken in vain.

A layer of L2 is recorded with all that the next one needs (``governance.conversation.course``). The plan of a cloze
search follows from tree, suspicious lines, model and settings, so the same steps come again. Steps after the first
passing or partial repair are repeated, because those were only in memory.
"""

from __future__ import annotations

from governance.record import Recorder
from governance.repair.scene import Scene
from governance.repair.settings import RepairSettings
from ledger.ids import sha256_hex
from ledger.vocabulary import Entry, EntryKind, RootCause, State

LOOKED_AT = 64
"""Number of earlier entries that are read, newest first."""


def key_of(tree: str, scene: Scene, model: str, settings: RepairSettings) -> str:
    """Identity of a search."""
    lines = "\n".join(f"{place.path}:{place.line}" for place in scene.places)
    failing = "\n".join(result.id for result in scene.failing)
    asked = f"{model}\n{settings.model_dump_json()}"
    return sha256_hex(f"{tree}\n{failing}\n{lines}\n{asked}".encode())[:16]


async def note_step(record: Recorder, key: str, steps: int, found: int) -> None:
    """Record the number of steps taken at the op's tree, and of full or partial repairs found so far."""
    await record.note(
        EntryKind.TOOL, "searched", phase=State.GENERATE, search=key, steps=steps, found=found
    )  # fmt: skip


async def steps_before(record: Recorder, key: str) -> int:
    """Number of steps of the same search that an op ended by a crash took in vain."""
    earlier = await entries_before(record, EntryKind.TOOL, "searched", key)
    return max((int(e.payload["steps"]) for e in earlier if not e.payload.get("found")), default=0)


async def entries_before(record: Recorder, kind: EntryKind, event: str, key: str) -> list[Entry]:
    """Entries of the last other op with the same search, oldest first; empty unless a crash ended that op."""
    entries = await record.ledger.entries(kinds=(kind,), events=(event,), newest_first=True, limit=LOOKED_AT)
    earlier = [e for e in entries if e.payload.get("search") == key and e.op_id not in (None, record.op_id)]
    if not earlier:
        return []
    ends = await record.ledger.entries(op_id=earlier[0].op_id, events=("terminal",), newest_first=True, limit=1)
    if not ends or ends[0].payload.get("root_cause") != RootCause.CRASH_RECOVERED.value:
        return []
    return [e for e in reversed(earlier) if e.op_id == earlier[0].op_id]
