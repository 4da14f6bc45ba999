"""The inbox: durable, answered once, and closed when nobody comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.lifecycle.recovery import end_of, ops_in
from governance.approval.inbox import Answer, Inbox
from governance.approval.refusals import Refused
from governance.irongate.op.g19_recursion import diff_hash
from governance.pipeline.dossier import Classification, Dossier, Generation
from governance.record import Recorder
from governance.settings import ApprovalSettings
from ledger.clock import ManualClock
from ledger.errors import ControlError
from ledger.events.event import read_event
from ledger.store import Ledger, Statement
from ledger.vocabulary import Complexity, Entry, EntryKind, Operation, Phase, RootCause, Spend, Tier
from tests.governance.ops import candidate, modify, operation

SETTINGS = ApprovalSettings(timeout_s=600)
WANTED = candidate(modify("shop/cart.py", b"x = 1\n", b"x = 2\n"))
DOSSIER = (
    Dossier()
    .merge(
        Phase.CLASSIFY,
        Classification(
            tier=Tier.APPROVAL_REQUIRED,
            complexity=Complexity.SIMPLE,
            change_type="x",
            rule=4,
            reasons=("r",),
            blast_bp=0,
        ),
    )
    .merge(Phase.GENERATE, Generation(candidate=WANTED))
)


async def made(ledger: Ledger, clock: ManualClock) -> Inbox:
    inbox = Inbox(ledger=ledger, clock=clock, settings=SETTINGS)
    await inbox.prepare()
    return inbox


async def ask(inbox: Inbox, ledger: Ledger, op: Operation) -> None:
    record = Recorder(ledger, op_id=op.id, spend=Spend(usd_micro=5, calls=1))
    await inbox.request(record, op, DOSSIER, "deletes a file")


async def told(ledger: Ledger) -> list[Entry]:
    return await ledger.entries(kinds=(EntryKind.APPROVAL,))


async def test_a_request_is_stored_whole(ledger: Ledger, clock: ManualClock) -> None:
    inbox, op = await made(ledger, clock), operation()
    await ask(inbox, ledger, op)
    (waiting,) = await inbox.pending()
    assert (waiting.op, waiting.dossier, waiting.reason) == (op, DOSSIER, "deletes a file")
    assert inbox.seconds_left(waiting) == 600
    (entry,) = await told(ledger)
    assert entry.payload["event"] == "approval.requested"
    assert entry.payload["tier"] == "APPROVAL_REQUIRED"
    assert entry.spend.usd_micro == 5


async def test_asking_again_keeps_the_first_expiry(ledger: Ledger, clock: ManualClock) -> None:
    inbox, op = await made(ledger, clock), operation()
    await ask(inbox, ledger, op)
    clock.advance(599)
    await ask(inbox, ledger, op)
    (waiting,) = await inbox.pending()
    assert inbox.seconds_left(waiting) == 1
    assert len(await told(ledger)) == 1


async def test_requests_and_their_expiry_survive_a_restart(ledger: Ledger, clock: ManualClock, tmp_path: Path) -> None:
    op = operation()
    await ask(await made(ledger, clock), ledger, op)
    await ledger.close()
    clock.advance(601)
    again = await Ledger.open(tmp_path / "ledger.sqlite3", repo_id="0123456789ab", clock=clock)
    try:
        inbox = await made(again, clock)
        (waiting,) = await inbox.pending()
        assert waiting.op == op
        assert inbox.seconds_left(waiting) == -1
        assert await inbox.decide(op.id, "approved", by="owner") == "expired"
        assert await inbox.pending() == ()
    finally:
        await again.close()


@pytest.mark.parametrize(
    ("after_s", "answer", "final"),
    [
        (0, "approved", "approved"),
        (599, "approved", "approved"),
        (600, "approved", "expired"),
        (-601, "approved", "expired"),  # a clock that was set back: the age is not known
        (599, "rejected", "rejected"),
        (700, "rejected", "rejected"),
        (600, "expired", "expired"),
    ],
)
async def test_a_late_yes_is_no(
    ledger: Ledger, clock: ManualClock, after_s: int, answer: Answer, final: Answer
) -> None:
    inbox, op = await made(ledger, clock), operation()
    await ask(inbox, ledger, op)
    clock.advance(after_s)
    assert await inbox.decide(op.id, answer, by="owner") == final
    last = (await told(ledger))[-1]
    assert (last.payload["event"], last.payload["by"], last.phase) == (f"approval.{final}", "owner", Phase.APPROVE)
    assert last.op_id == op.id
    assert await inbox.pending() == ()


async def test_an_answer_counts_once(ledger: Ledger, clock: ManualClock) -> None:
    inbox, op = await made(ledger, clock), operation()
    await ask(inbox, ledger, op)
    await inbox.decide(op.id, "rejected", by="owner")
    with pytest.raises(ControlError, match="does not wait") as error:
        await inbox.decide(op.id, "approved", by="owner")
    assert error.value.remedy
    assert len(await told(ledger)) == 2


async def test_what_never_asked_cannot_be_approved(ledger: Ledger, clock: ManualClock) -> None:
    inbox = await made(ledger, clock)
    with pytest.raises(ControlError):
        await inbox.decide(operation().id, "approved", by="owner")
    assert await told(ledger) == []


@pytest.mark.parametrize(
    ("answer", "after_s", "kept"),
    [("rejected", 0, True), ("approved", 0, False), ("expired", 600, False), ("approved", 600, False)],
)
async def test_only_a_no_refuses_the_diff_for_good(
    ledger: Ledger, clock: ManualClock, answer: Answer, after_s: int, kept: bool
) -> None:
    inbox, refused, op = await made(ledger, clock), Refused(ledger=ledger), operation()
    await refused.prepare()
    await ask(inbox, ledger, op)
    clock.advance(after_s)
    statement = Refused.statement(diff_hash(WANTED), op.id, "no")
    await inbox.decide(op.id, answer, by="owner", when_rejected=(statement,))
    assert await refused.hashes() == ((diff_hash(WANTED),) if kept else ())


async def test_the_oldest_stands_first_and_answers_do_not_mix(ledger: Ledger, clock: ManualClock) -> None:
    inbox, first, second = await made(ledger, clock), operation(), operation()
    await ask(inbox, ledger, first)
    clock.advance(1)
    await ask(inbox, ledger, second)
    assert [r.op.id for r in await inbox.pending()] == [first.id, second.id]
    await inbox.decide(first.id, "approved", by="owner")
    assert [r.op.id for r in await inbox.pending()] == [second.id]


async def test_what_another_version_stored_expires_at_boot_with_its_reason(ledger: Ledger, clock: ManualClock) -> None:
    """It raised at boot. What nobody can be shown cannot be approved; what can be read still waits."""
    inbox, old, new = await made(ledger, clock), operation(), operation()
    for op in (old, new):
        await ask(inbox, ledger, op)
    blob = await ledger.put_blob(DOSSIER.model_dump_json().replace('"feedback"', '"remarks"').encode())
    (asked, _) = await told(ledger)
    stored = read_event(asked).model_copy(update={"dossier": blob})
    swap: Statement = ("UPDATE inbox SET dossier = ? WHERE op_id = ?", (blob, old.id))
    record = Recorder(ledger, op_id=old.id, spend=asked.spend)
    await record.note(stored, project=(swap,))
    again = await made(ledger, clock)
    assert [r.op.id for r in await again.pending()] == [new.id]
    last = (await told(ledger))[-1]
    assert (last.op_id, last.payload["event"], last.payload["rule"]) == (old.id, "approval.expired", "inbox.unreadable")
    assert "another version" in last.payload["reason"] and "remarks" in last.payload["reason"]
    assert last.spend.usd_micro == 5
    # Boot recovery, which comes next, ends the op as one whose approval has expired, and does not begin it anew.
    left = ops_in(await ledger.entries())[old.id]
    assert end_of(left, commit=None, kept=()).cause is RootCause.APPROVAL_EXPIRED
