"""`ouro undo`: a guarded revert commit, recorded as an outcome that is remembered."""

from __future__ import annotations

from daemon.api import OpView
from daemon.diffs import newest_candidate
from governance.changes.changes import Changes
from governance.changes.types import Committed
from governance.irongate.battery import diff_hash
from governance.record import Recorder
from governance.refused import Refused
from ledger.errors import ControlError
from ledger.store import Ledger
from ledger.vocabulary import EntryKind


async def undo_op(ledger: Ledger, changes: Changes, view: OpView) -> Committed:
    """Take the op's commit back by another commit. Raises ``ControlError`` or ``ChangeError``; nothing changes then."""
    if view.commit is None:
        raise ControlError(f"{view.short} made no commit.", remedy="There is nothing to undo.")
    if view.undone_by is not None:
        raise ControlError(f"{view.short} was undone by {view.undone_by[:10]} already.")
    record = Recorder(ledger, op_id=view.id)
    intent = await record.note(EntryKind.CHANGE, "undo.intent", commit=view.commit)
    committed = await changes.undo(view.id, view.commit, ledger_seq=intent.seq, ledger_hash=intent.hash)
    candidate = await newest_candidate(ledger, view.id)
    project = (Refused.statement(diff_hash(candidate), view.id, "undone"),) if candidate else ()
    await record.note(
        EntryKind.OUTCOME, "undone", commit=committed.commit, ref=committed.ref, of=view.commit, project=project,
        causes=(intent.seq,),
    )  # fmt: skip
    return committed
