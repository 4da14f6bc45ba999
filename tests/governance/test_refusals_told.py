"""Every rule that refuses: the model that met it, the record and the person hear its name.

The verdicts are those that the gates give to their own examples, and one of each rung of the ladder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.views.narrate import format_entry
from governance.approval.inbox import Inbox
from governance.conversation import prompts
from governance.conversation.tool_calls import call_tool
from governance.irongate.candidate_gates import objections
from governance.irongate.gate import Subject
from governance.irongate.registry import CANDIDATE_GATES, GATES
from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.irongate.tool.policy import ToolPolicy
from governance.phases.apply import stale
from governance.phases.validate import format_refusals
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Feedback
from governance.record import Recorder
from governance.settings import ApprovalSettings
from ledger.clock import ManualClock
from ledger.events.check import GatesJudged
from ledger.store import Ledger
from ledger.vocabulary import Decision, Entry, EntryKind, Phase, Verdict
from tests.governance.approval.test_approval import DOSSIER
from tests.governance.crewed import crew_in
from tests.governance.ops import operation
from tests.governance.shopfloor import Priced
from tests.repos import host_env, make_repo
from tools.builtin.standard import standard_tools
from tools.manifest import Toolbox, ToolContext
from tools.policy import NotOffered, PolicyQuestion

OF_CALLS = {number for number, gate in GATES.items() if Subject.TOOL_CALL in gate.subjects}
OF_CANDIDATES = {gate.number for gate in CANDIDATE_GATES}
RAISES_ONLY = {number for number, gate in GATES.items() if gate.only_raises}
DENIES_MAKE = {
    "name": "no-make", "action": "deny", "about": "command", "pattern": "make*", "match": ["make"], "not_match": ["ls"],
}  # fmt: skip


def by_rule(verdicts: Iterator[Verdict]) -> dict[str, Verdict]:
    return {verdict.rule: verdict for verdict in verdicts if verdict.decision is not Decision.ALLOW}


def of_gates(numbers: set[int]) -> dict[str, Verdict]:
    """A refusal of every rule that an example of these gates meets."""
    return by_rule(GATES[number].check(facts) for number in numbers for facts, _ in GATES[number].examples)


class Servers:
    """``mcp_a_b`` is not listed, and the server of every other such name is away."""

    def not_offered(self, name: str) -> NotOffered | None:
        if not name.startswith("mcp_"):
            return NotOffered.UNKNOWN
        return NotOffered.NOT_LISTED if name == "mcp_a_b" else NotOffered.NOT_CONNECTED


def of_the_ladder() -> dict[str, Verdict]:
    settings = ToolPolicySettings.model_validate({"off": ["web_fetch"], "rules": [DENIES_MAKE]})
    policy = ToolPolicy(tools=("read_file", "web_fetch", "ask_human", "bash"), settings=settings, servers=Servers())
    asked = [
        {"tool": "rm"}, {"tool": "mcp_a_b"}, {"tool": "mcp_c_d"}, {"hosts": ("example.org:443",)},
        {"tool": "ask_human"}, {"tool": "web_fetch"}, {"tool": "bash", "command": "make"}, {"running": 9},
        {"recent": 999},
    ]  # fmt: skip
    plain = {"tool": "read_file", "writes": False}
    found = by_rule(policy.judge(PolicyQuestion.model_validate({**plain, **one})) for one in asked)
    assert len(found) == len(asked)
    return found


class Saying:
    """A policy that gives the verdict it holds."""

    verdict = Verdict(gate=0, rule="policy.allow")

    def judge(self, question: PolicyQuestion) -> Verdict:
        return self.verdict


def test_every_gate_that_refuses_is_told_of_somewhere() -> None:
    """Money, time, webhooks, the files at the moment of the change, locks: no call and no candidate is judged there."""
    assert {1, 2, 3} <= OF_CALLS and {17, 18, 20} <= RAISES_ONLY
    assert {1, 2, 4, 5, 6, 13, 14, 15, 16, 17, 19} <= OF_CANDIDATES
    assert set(range(1, 21)) - OF_CALLS - OF_CANDIDATES - RAISES_ONLY == {7, 8, 9, 10, 11, 12}
    assert of_gates(RAISES_ONLY) == {}, "what only raises the tier refuses nothing"


async def heard(ctx: OpContext, context: ToolContext, arguments: str = '{"path": "a.py"}') -> tuple[str, list[Entry]]:
    """What a model hears of a call, and what the record has of it."""
    before = len(await ctx.record.ledger.entries())
    outcome = await call_tool(ctx, Phase.GENERATE, "read_file", arguments, context)
    return outcome.text, (await ctx.record.ledger.entries())[before:]


def person(entries: list[Entry]) -> str:
    return "\n".join(str(told.text) for entry in entries if (told := format_entry(entry)) is not None)


async def test_a_refused_call(tmp_path: Path, ledger: Ledger, clock: ManualClock) -> None:
    policy = Saying()
    refusals = {**of_the_ladder(), **of_gates(OF_CALLS)}
    assert len(refusals) > 30
    async with crew_in(make_repo(tmp_path / "shop", {"a.py": "x = 1\n"}), ledger, clock, Priced()) as (ctx, context):
        ctx = replace(
            ctx, services=replace(ctx.services, toolbox=Toolbox(tools=standard_tools(host_env()), policy=policy))
        )
        for rule, policy.verdict in refusals.items():
            text, entries = await heard(ctx, context)
            assert f"Refused by {rule}: " in text
            verdicts = [e.payload for e in entries if e.kind is EntryKind.VERDICT]
            assert [(v["rule"], v["decision"]) for v in verdicts] == [(rule, policy.verdict.decision.value)]
            assert rule in person(entries)
        text, entries = await heard(ctx, context, '{"path": ')
        assert "tools.arguments" in text and "tools.arguments" in person(entries)


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
def test_a_refused_candidate(together: bool) -> None:
    """Whether one rule refuses it or every rule that there is."""
    wordy = {"reason": "It is refused, and there is much to be said about that. " * 4}
    refusals = {rule: verdict.model_copy(update=wordy) for rule, verdict in of_gates(OF_CANDIDATES).items()}
    assert {verdict.gate for verdict in refusals.values()} == OF_CANDIDATES - RAISES_ONLY
    cases = [tuple(refusals.values())] if together else [(verdict,) for verdict in refusals.values()]
    for verdicts in cases:
        against = objections([Verdict(gate=5, rule="gate05.ok"), *verdicts, *verdicts])
        assert {verdict.rule for verdict in against} == {verdict.rule for verdict in verdicts}
        assert together is (against[0].decision is not against[-1].decision), "what is denied stands first"
        told = prompts.feedback(Feedback(phase=Phase.VALIDATE, rule=against[0].rule, text=format_refusals(against)))
        draft = GatesJudged(verdicts=verdicts).draft()
        shown = format_entry(Entry(**draft.model_dump(), seq=1, at="", prev="", hash=""))
        assert shown is not None
        for verdict in verdicts:
            assert verdict.rule in told and verdict.rule in shown.text


def test_what_nobody_has_judged_is_refused_too() -> None:
    assert [verdict.rule for verdict in objections(())] == ["gate00.unjudged"]


async def test_an_approval_that_comes_too_late(ledger: Ledger, clock: ManualClock) -> None:
    inbox = Inbox(ledger=ledger, clock=clock, settings=ApprovalSettings())
    await inbox.prepare()
    op = operation()
    await inbox.request(Recorder(ledger, op_id=op.id), op, DOSSIER, "why")
    clock.advance(3_600)
    assert await inbox.decide(op.id, "approved", by="owner") == "expired"
    last = (await ledger.entries())[-1]
    assert last.payload["rule"] == "gate08.expired" and "gate08.expired" in person([last])


def test_a_change_whose_files_have_moved_on() -> None:
    """The person reads the verdict's own entry, which is told like that of a call."""
    feedback = stale(operation(), None, "Changed since it was read: a.py.").feedback
    assert feedback is not None and "gate11.target_changed" in prompts.feedback(feedback)
