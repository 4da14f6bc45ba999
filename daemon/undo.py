"""`ouro undo`: a guarded revert commit, recorded as an outcome that is remembered."""

from __future__ import annotations

from daemon.api import OpView
from daemon.diffs import newest_candidate
from daemon.standing import commit_with
from governance.changes.changes import Changes
from governance.changes.trailers import UNDOES
from governance.changes.types import Committed
from governance.grounding.settling import take_back
from governance.irongate.g19_recursion import diff_hash
from governance.record import Recorder
from governance.refused import Refused, TakenBack, refusals_of
from ledger.errors import ControlError, OuroError
from ledger.store import Ledger
from ledger.vocabulary import Entry, EntryKind
from tools.git import Git


async def undo_op(ledger: Ledger, changes: Changes, view: OpView) -> Committed:
    """Take the op's commit back by another commit. Raises ``ControlError`` or ``ChangeError``; nothing changes then."""
    if view.commit is None:
        raise ControlError(f"{view.short} made no commit.", remedy="There is nothing to undo.")
    if view.undone_by is not None:
        raise ControlError(f"{view.short} was undone by {view.undone_by[:10]} already.")
    record = Recorder(ledger, op_id=view.id, spend=await ledger.spent(view.id))
    intent = await record.note(EntryKind.CHANGE, "undo.intent", commit=view.commit)
    try:
        committed = await changes.undo(view.id, view.commit, ledger_seq=intent.seq, ledger_hash=intent.hash)
    except (OuroError, OSError) as error:
        await record.note(EntryKind.CHANGE, "undo.given_up", reason=str(error), causes=(intent.seq,))
        raise
    await _undone(ledger, intent, commit=committed.commit, ref=committed.ref)
    return committed


async def _undone(ledger: Ledger, intent: Entry, *, commit: str, ref: str) -> None:
    """Remember it: the same diff is never applied again, and what it had repaired is left alone."""
    op_id = str(intent.op_id)
    candidate = await newest_candidate(ledger, op_id)
    project = [Refused.statement(diff_hash(candidate), op_id, "undone")] if candidate else []
    project += await refusals_of(ledger, op_id, "undone")
    tests = await tests_of(ledger, op_id)
    if tests:
        project.append(Refused.takes_back(TakenBack(op_id=op_id, commit=commit, tests=tests)))
    settled = await take_back(ledger, op_id, "undone by the owner")
    record = Recorder(ledger, op_id=op_id, spend=await ledger.spent(op_id))
    await record.note(
        EntryKind.OUTCOME, "undone", commit=commit, ref=ref, of=intent.payload["commit"], causes=(intent.seq,),
        project=(*project, *settled.project), also=settled.drafts(record),
    )  # fmt: skip


async def tests_of(ledger: Ledger, op_id: str) -> tuple[str, ...]:
    """The tests that an op was called to make pass."""
    entries = await ledger.entries(op_id=op_id, kinds=(EntryKind.DECISION,), events=("op.started",))
    return tuple(dict.fromkeys(str(test) for entry in entries for test in entry.payload.get("tests", ())))


async def finish_undos(ledger: Ledger, git: Git) -> tuple[str, ...]:
    """At boot: an undo that a crash cut off is remembered when its commit stands, else given up."""
    begun: dict[str, Entry] = {}
    said = ("undo.intent", "undone", "undo.given_up")
    for entry in await ledger.entries(kinds=(EntryKind.CHANGE, EntryKind.OUTCOME), events=said):
        event = entry.payload.get("event")
        if event == "undo.intent":
            begun[str(entry.op_id)] = entry
        elif event in ("undone", "undo.given_up"):
            begun.pop(str(entry.op_id), None)
    notes = []
    for op_id, intent in begun.items():
        found = await commit_with(git, UNDOES, op_id, since=str(intent.payload["commit"]))
        if found is not None:
            await _undone(ledger, intent, commit=found.commit, ref=found.ref)
        else:
            record = Recorder(ledger, op_id=op_id, spend=await ledger.spent(op_id))
            await record.note(EntryKind.CHANGE, "undo.given_up", reason="the daemon ended", causes=(intent.seq,))
        notes.append(f"the undo of {op_id} was cut off: {'finished' if found else 'nothing was changed'}")
    return tuple(notes)
