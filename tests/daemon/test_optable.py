"""The ops as a person sees them: entries folded into views, and found again by a short reference."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.record.optable import KEPT_OPS, KEPT_STEPS, OpTable
from ledger.errors import ControlError
from ledger.ids import core_of, new_op_id, short_id
from ledger.vocabulary import Entry, EntryKind, OpOutcome, Phase, RootCause, Route, Source, Spend, Tier

COMMIT = "c" * 40


class Told:
    """Entries of one op, numbered as a ledger numbers them."""

    def __init__(self, table: OpTable, op_id: str) -> None:
        self.table = table
        self.op_id = op_id

    def says(
        self, event: str, kind: EntryKind = EntryKind.TRANSITION, *, spend: Spend | None = None, **more: Any
    ) -> None:
        seq = self.table.seq + 1
        entry = Entry(
            seq=seq, at=f"2026-01-01T00:00:{seq % 60:02}.000Z", prev="", hash="", kind=kind, op_id=self.op_id,
            payload={"event": event, **more}, spend=spend or Spend(),
        )  # fmt: skip
        self.table.feed((entry,))

    @property
    def view(self) -> Any:
        return self.table.resolve(self.op_id)


@pytest.fixture
def op() -> Told:
    return Told(OpTable(), new_op_id("test_failure"))


def test_an_op_from_its_start_to_its_commit(op: Told) -> None:
    op.says("op.started", EntryKind.DECISION, goal="Make it pass.", targets=["a.py"], tests=["t.py::x"], base="b" * 40)
    op.says("phase.entered", to="CLASSIFY", origin="CLASSIFY")
    op.says("tier.assigned", EntryKind.DECISION, tier="NOTIFY_APPLY", complexity="SIMPLE")
    op.says("route.chosen", EntryKind.DECISION, route="STANDARD")
    view = op.view
    assert (view.goal, view.targets, view.tests, view.base) == ("Make it pass.", ("a.py",), ("t.py::x",), "b" * 40)
    assert (view.state, view.tier, view.route) == (Phase.CLASSIFY, Tier.NOTIFY_APPLY, Route.STANDARD)
    assert view.origin is Source("test_failure")
    op.says("phase.entered", to="VERIFY", origin="APPLY")
    op.says("committed", EntryKind.CHANGE, commit=COMMIT, ref="refs/heads/main")
    op.says("terminal", to="COMPLETE", root_cause="none", failure_class="none", reason="done", commit=COMMIT)
    view = op.view
    assert (view.state, view.commit, view.branch, view.ledger_seq) == (OpOutcome.COMPLETE, COMMIT, "main", op.table.seq)
    op.says("undone", EntryKind.OUTCOME, commit="d" * 40)
    assert op.view.undone_by == "d" * 40


def test_an_op_that_recovery_finished_has_its_commit(op: Told) -> None:
    """The daemon died between the ref and the entry: the end alone names the commit, and it can be undone."""
    op.says("phase.entered", to="VERIFY", origin="APPLY")
    op.says("terminal", to="COMPLETE", commit=COMMIT, ref="refs/heads/ouro/review/op-1")
    assert (op.view.commit, op.view.branch) == (COMMIT, "ouro/review/op-1")


def test_an_end_without_a_commit_has_none(op: Told) -> None:
    op.says("terminal", to="POSTMORTEM", root_cause="tests_failed", failure_class="test", commit=None, ref=None)
    assert (op.view.commit, op.view.branch, op.view.root_cause) == (None, None, RootCause.TESTS_FAILED)


def test_what_an_op_cost_is_not_forgotten_by_entries_that_do_not_know_it(op: Told) -> None:
    spent = Spend(usd_micro=7, tokens_in=100, tokens_out=10, calls=2, working_ms=900)
    op.says("phase.entered", to="GATE", origin="VALIDATE", spend=spent)
    op.says("finished", EntryKind.SIGNAL)
    assert op.view.spend == spent
    op.says("terminal", to="NOOP", spend=Spend(usd_micro=8, tokens_in=100, tokens_out=10, calls=3, working_ms=950))
    assert op.view.spend.calls == 3


@pytest.mark.parametrize("answer", ["approval.approved", "approval.rejected", "approval.expired"])
def test_an_op_waits_until_it_is_answered(op: Told, answer: str) -> None:
    op.says("phase.entered", to="APPROVE", origin="GATE")
    op.says("approval.requested", EntryKind.APPROVAL, reason="deletes a file", expires_at="2026-01-01T00:10:00.000Z")
    assert op.view.waiting
    assert op.view.waiting_until == "2026-01-01T00:10:00.000Z"
    op.says(answer, EntryKind.APPROVAL, by="owner")
    assert not op.view.waiting


def test_an_op_that_ended_is_not_among_those_that_are_not_over(op: Told) -> None:
    op.says("phase.entered", to="ROUTE", origin="CLASSIFY")
    assert [v.id for v in op.table.newest(ended=False)] == [op.op_id]
    op.says("terminal", to="BLOCKED", root_cause="blocked_path", failure_class="policy")
    assert op.table.newest(ended=False) == []
    assert [v.id for v in op.table.newest(ended=True)] == [op.op_id]


def test_an_entry_counts_once(op: Told) -> None:
    op.says("planned", EntryKind.DECISION, approach="Turn the sign.")
    entry = Entry(
        seq=op.table.seq, at="2026-01-01T00:00:00.000Z", prev="", hash="", kind=EntryKind.DECISION, op_id=op.op_id,
        payload={"event": "planned", "approach": "again"},
    )  # fmt: skip
    op.table.feed((entry,))
    assert [step.text for step in op.view.steps] == ["Turn the sign."]


def test_steps_and_ops_are_bounded(op: Told) -> None:
    for number in range(KEPT_STEPS + 5):
        op.says("planned", EntryKind.DECISION, approach=f"step {number}")
    assert len(op.view.steps) == KEPT_STEPS
    assert op.view.steps[-1].text == f"step {KEPT_STEPS + 4}"
    for _ in range(KEPT_OPS):
        Told(op.table, new_op_id("manual")).says("phase.entered", to="CLASSIFY", origin="CLASSIFY")
    assert len(op.table.newest(ended=True)) == KEPT_OPS
    with pytest.raises(ControlError, match="No op matches"):
        op.table.resolve(op.op_id)


def test_an_op_is_found_by_any_suffix_that_only_it_has(op: Told) -> None:
    other = Told(op.table, f"op-{'0' * 31}{core_of(op.op_id)[-1]}-manual")
    for each in (op, other):
        each.says("phase.entered", to="CLASSIFY", origin="CLASSIFY")
    for reference in (op.op_id, core_of(op.op_id), short_id(op.op_id), f"op-{short_id(op.op_id)}"):
        assert op.table.resolve(reference).id == op.op_id
    with pytest.raises(ControlError, match="several") as several:
        op.table.resolve(core_of(op.op_id)[-1])
    assert op.op_id in str(several.value)
    assert other.op_id in str(several.value)
    with pytest.raises(ControlError, match="No op matches") as none:
        op.table.resolve("zzzzzz")
    assert none.value.remedy


def test_entries_of_the_daemon_itself_are_no_ops(op: Told) -> None:
    entry = Entry(seq=1, at="2026-01-01T00:00:00.000Z", prev="", hash="", kind=EntryKind.SESSION, payload={})
    op.table.feed((entry,))
    assert op.table.newest(ended=True) == []
    assert op.table.seq == 1
