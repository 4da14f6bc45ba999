"""Boot recovery: finishes or rolls back every change that a crash left open.

If the recorded commit is reachable from its ref, the change is finished, otherwise rolled back.
"""

from __future__ import annotations

from governance.changes import owner_index
from governance.changes.arena import ARENAS
from governance.changes.journal import Journal, open_journals, remove_debris
from governance.changes.kit import Kit, change_lock
from governance.changes.landing import contains, head_ref, tip
from governance.changes.rollback import take_back
from governance.changes.types import CommitMark, Recovered, Rollback
from ledger.errors import ChangeError


def recover(kit: Kit) -> tuple[Recovered, ...]:
    """Close every open journal. An unreadable one is left alone and reported by its folder's name."""
    with change_lock(kit.places):
        found = tuple(_recover_one(kit, journal_id) for journal_id in open_journals(kit.places))
        remove_debris(kit.places, kit.effects)
        if (kit.places.cache / ARENAS).exists():
            kit.effects.remove_private(kit.places.cache / ARENAS)
    return found


def roll_back(kit: Kit, journal_id: str) -> Rollback:
    """Roll back one open change; nothing to do for a closed one."""
    with change_lock(kit.places):
        if journal_id not in open_journals(kit.places):
            return Rollback()
        done = settle(kit, Journal.load(kit.places, journal_id, kit.effects))
    return Rollback(restored=done.restored, kept=done.kept, commit=done.commit)


def settle(kit: Kit, journal: Journal) -> Recovered:
    """Finish a change whose commit is in its ref, roll back any other, and close it.

    If that ref is not checked out (a review branch, or the owner switched branches), the checkout is restored.
    """
    record = journal.record
    commit = record.mark.commit if record.mark and _is_in(kit, record.mark) else None
    back, note = Rollback(), ""
    if record.mark and commit and record.landing.mode == "branch" and record.mark.ref == head_ref(kit.git):
        paths = tuple(s.path for s in record.slots)
        note = owner_index.refresh(kit, paths=paths, parent=record.mark.parent, commit=commit)
    else:
        back = take_back(kit, journal)
        note = f"changed by the owner meanwhile, left alone: {', '.join(back.kept)}" if back.kept else ""
    journal.close()
    return Recovered(
        op_id=record.op_id,
        outcome="committed" if commit else "owner_kept" if back.kept else "rolled_back",
        commit=commit,
        ref=record.mark.ref if record.mark and commit else "",
        detail=note,
        restored=back.restored,
        kept=back.kept,
    )


def _recover_one(kit: Kit, journal_id: str) -> Recovered:
    try:
        journal = Journal.load(kit.places, journal_id, kit.effects)
    except ChangeError as error:
        return Recovered(op_id=journal_id, outcome="owner_kept", detail=str(error))
    return settle(kit, journal)


def _is_in(kit: Kit, mark: CommitMark) -> bool:
    now = tip(kit.git, mark.ref)
    return now is not None and contains(kit.git, mark.commit, now)
