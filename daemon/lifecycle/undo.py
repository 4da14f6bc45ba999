"""`ouro undo`: a guarded revert commit, recorded as an outcome that is remembered."""

from __future__ import annotations

from typing import NamedTuple

from daemon.control.messages import OpView
from daemon.record.diffs import newest_candidate
from governance.approval.refusals import Refused, TakenBack, refusals_of
from governance.changes.changes import Changes
from governance.changes.trailers import UNDOES
from governance.changes.types import Committed
from governance.grounding.settlement import take_back_claims
from governance.irongate.op.g19_recursion import diff_hash
from governance.record import Recorder
from ledger.errors import ControlError, OuroError
from ledger.events.change import UndoGivenUp, UndoIntended, UndoMade
from ledger.events.event import read_event
from ledger.events.op import OpStarted
from ledger.store import Ledger
from ledger.vocabulary import Entry
from tools.git import Git


async def undo_op(ledger: Ledger, changes: Changes, view: OpView) -> Committed:
    """Take the op's commit back by another commit. Raises ``ControlError`` or ``ChangeError``; nothing changes then."""
    if view.commit is None:
        raise ControlError(f"{view.short} made no commit.", remedy="There is nothing to undo.")
    if view.undone_by is not None:
        raise ControlError(f"{view.short} was undone by {view.undone_by[:10]} already.")
    record = Recorder(ledger, op_id=view.id, spend=await ledger.spent(view.id))
    intent = await record.note(UndoIntended(commit=view.commit))
    try:
        committed = await changes.undo(view.id, view.commit, ledger_seq=intent.seq, ledger_hash=intent.hash)
    except (OuroError, OSError) as error:
        await record.note(UndoGivenUp(reason=str(error)), causes=(intent.seq,))
        raise
    await _undone(ledger, intent, UndoMade(commit=committed.commit, ref=committed.ref, of=view.commit))
    return committed


async def _undone(ledger: Ledger, intent: Entry, made: UndoMade) -> None:
    """Remember it: the same diff is never applied again, and what it had repaired is left alone."""
    op_id = str(intent.op_id)
    candidate = await newest_candidate(ledger, op_id)
    project = [Refused.statement(diff_hash(candidate), op_id, "undone")] if candidate else []
    project += await refusals_of(ledger, op_id, "undone")
    tests = await tests_of(ledger, op_id)
    if tests:
        project.append(Refused.takes_back(TakenBack(op_id=op_id, commit=made.commit, tests=tests)))
    settled = await take_back_claims(ledger, op_id, "undone by the owner")
    record = Recorder(ledger, op_id=op_id, spend=await ledger.spent(op_id))
    await record.note(
        made,
        causes=(intent.seq,),
        project=(*project, *settled.project),
        also=settled.drafts(record),
    )


async def tests_of(ledger: Ledger, op_id: str) -> tuple[str, ...]:
    """The tests that an op was called to make pass."""
    started = await ledger.events(OpStarted, op_id=op_id)
    return tuple(dict.fromkeys(test for _, event in started for test in event.tests))


async def finish_undos(ledger: Ledger, git: Git) -> tuple[str, ...]:
    """At boot: an undo that a crash cut off is recorded if its commit exists, else given up."""
    begun: dict[str, tuple[Entry, UndoIntended]] = {}
    for entry in await ledger.entries(events=(UndoIntended, UndoMade, UndoGivenUp)):
        event = read_event(entry)
        if isinstance(event, UndoIntended):
            begun[str(entry.op_id)] = (entry, event)
        else:
            begun.pop(str(entry.op_id), None)
    notes = []
    for op_id, (intent, undo) in begun.items():
        found = await commit_with(git, UNDOES, op_id, since=undo.commit)
        if found is not None:
            await _undone(ledger, intent, UndoMade(commit=found.commit, ref=found.ref, of=undo.commit))
        else:
            record = Recorder(ledger, op_id=op_id, spend=await ledger.spent(op_id))
            await record.note(UndoGivenUp(reason="the daemon ended"), causes=(intent.seq,))
        notes.append(f"the undo of {op_id} was cut off: {'finished' if found else 'nothing was changed'}")
    return tuple(notes)


class FoundCommit(NamedTuple):
    """A commit, and a branch (full name) that holds it."""

    commit: str
    ref: str


async def commit_with(git: Git, trailer: str, op_id: str, *, since: str, meant: str = "") -> FoundCommit | None:
    """The newest commit after ``since`` whose trailer names the op, on any branch; ``meant`` is preferred."""
    after = (f"^{since}",) if since else ()
    done = await git.call(
        "log", "-n", "1", "--format=%H", f"--grep=^{trailer}: {op_id}$", "--branches", *after, ok=(0, 128)
    )
    if not done.text:
        return None
    held = await git.call("for-each-ref", "--format=%(refname)", "--contains", done.text, "refs/heads")
    refs = held.text.split()
    return FoundCommit(done.text, meant if meant in refs else refs[0])
