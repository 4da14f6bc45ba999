"""The keystone wire: an answer that collapses is discarded, evidence is gathered afresh, and the next try is clean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from daemon.control.messages import OpRef
from daemon.record.replay import replay
from governance.grounding.claim_verdict import TOO_FEW_SOURCES
from governance.pipeline.dossier import COLLAPSE_RULE
from kernel.canary import CollapseDetected
from kernel.provider import Done, Event, InfillAnswer, InfillRequest, Limits, Message, Report, ToolSchema
from ledger.events.grounding import About, ClaimOutcome, Graded, TrustKey
from ledger.vocabulary import Entry, FailureClass, OpOutcome, RootCause
from tests.e2e.completions import Asked, Model, Reply, calls, provider_at
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Said, Talking, after_a_look, call
from tests.e2e.test_refusals import CART, GOOD, TEST, WORDY, shop, work
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git

LOOPING = "The total is wrong because the total is wrong. " * 60


def degenerate(times: int) -> Model:
    """Looks around, then says the same again and again; behind ``times`` conversations of that kind it is sane."""
    left = [times]

    def say(asked: Asked) -> Reply:
        if asked.turn == 1:
            return calls(("read_file", {"path": CART}), ("get_callers", {"symbol": "total"}))
        left[0] -= 1
        return Reply(LOOPING if left[0] >= 0 else GOOD)

    return Model(say, files=[CART], changes=[CART])


async def record_of(service: Serving, op_id: str, event: str) -> list[Entry]:
    assert (await service.core.ledger.verify()).ok
    assert (await replay(service.core.ledger, op_id=op_id)).differences == ()
    return await service.entries(op_id, event)


async def test_a_remote_answer_collapses_and_the_next_one_lands(tmp_path: Path) -> None:
    repo, model = shop(tmp_path), degenerate(1)
    head = git(repo, "rev-parse", "HEAD")
    async with model.serve() as server, served(config_for(tmp_path, repo), provider_at(server)) as (service, _):
        ending = await work(service, WORDY)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        (entry,) = await record_of(service, ending.op.id, "regrounded")
        ended_calls = [e.payload for e in await service.entries(ending.op.id, "call.ended")]
        decided = [e.payload for e in await service.entries(ending.op.id, "grounding.decided")]
        judged = [e.payload for e in await service.entries(ending.op.id, "grounding.judged")]
        made = await service.entries(ending.op.id, "tool.called")
        started = [e.payload for e in await service.entries(ending.op.id, "call.started")]
        told = await service.told(ending.op.id)
        bodies = [request.body for request in server.requests if request.body]
    cautious = [body.get("frequency_penalty", 0) for body in bodies if body.get("max_tokens") == 4_096]
    said = entry.payload
    assert (said["why"], said["number"], said["most"], said["tests"]) == (COLLAPSE_RULE, 1, 2, "red")
    assert said["proximity_milli"] >= 880 and said["signal"] in ("repeat", "copy", "loop")
    assert set(said["before"]) == {f"file:{CART}", f"file:{TEST}", "callers", "said:manual", "tests"}
    assert "history" in said["after"] and f"file:{CART}" in said["after"]
    (bad,) = [payload for payload in ended_calls if payload["problem"] == "collapsed"]
    near, turns = said["proximity_milli"], len(cautious) - 2
    assert (bad["purpose"], bad["proximity_milli"]) == ("generate", said["proximity_milli"])
    assert [d["asked"]["act"] for d in decided] == [False] and decided[0]["asked"]["budget_scale_milli"] == 0
    assert judged[-1]["stand"] == "act" and len(judged[-1]["facts"]["sources"]) >= judged[-1]["min_sources"]
    fresh = [e.payload["tool"] for e in made if e.seq < entry.seq][-4:]
    assert fresh == ["read_file", "git_log", "read_file", "git_log"]
    again = model.asked[2]
    assert again.turn == 1 and "the total is wrong because" not in again.text
    assert "Speed up totals" in again.text and "Speed up totals" not in model.asked[0].text
    assert cautious[:2] == [0, 0] and all(penalty > 0.2 for penalty in cautious[2:])
    assert [p.get("caution_milli") for p in started if p["purpose"] == "generate"] == [None, None, *[near] * turns]
    assert "canary: generate · canary" in told and "collapsed: it is discarded" in told
    assert "reground: 1 of 2 behind a collapse (canary" in told and "5 sources before" in told
    assert git(repo, "rev-parse", "HEAD^") == head


async def test_the_third_collapse_is_the_end_and_nothing_is_applied(tmp_path: Path) -> None:
    repo, model = shop(tmp_path), degenerate(9)
    head = git(repo, "rev-parse", "HEAD")
    async with model.serve() as server, served(config_for(tmp_path, repo), provider_at(server)) as (service, api):
        ending = await work(service, WORDY)
        regrounded = await record_of(service, ending.op.id, "regrounded")
        candidates = await service.entries(ending.op.id, "candidate")
        health = await api.health()
        (terminal,) = await service.entries(ending.op.id, "terminal")
    assert (ending.state, ending.cause, ending.failure) == (
        OpOutcome.POSTMORTEM, RootCause.COLLAPSE, FailureClass.COLLAPSE,
    ), ending.reason  # fmt: skip
    assert [entry.payload["number"] for entry in regrounded] == [1, 2]
    assert "history" in regrounded[1].payload["before"], "the second try stood on what the first look has found"
    assert terminal.payload["failure_class"] == "collapse" and candidates == []
    assert (health.collapses, health.regroundings) == (3, 2)
    assert git(repo, "rev-parse", "HEAD") == head and (repo / CART).read_text().count("subtotal + discount") == 1


class Restless(Talking):
    """Answers well, and close to a collapse."""

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        async for event in super().respond(conversation, tools, limits):
            report = Report(proximity_milli=750, signal="echo")
            yield event.model_copy(update={"report": report}) if isinstance(event, Done) else event


async def test_a_restless_answer_stands_on_more_or_is_asked_about(tmp_path: Path) -> None:
    """Close to a collapse more sources are needed; where a fresh look brings no more of them, a person is asked."""
    repo = shop(tmp_path)
    config = config_for(tmp_path, repo, grounding={"more_sources": 6})
    model = Restless(after_a_look(GOOD, CART, TEST), changes=[CART])
    async with served(config, model) as (service, api):
        waiting = await work(service, WORDY)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        judged = [e.payload for e in await record_of(service, waiting.op.id, "grounding.judged")]
        decided = [e.payload for e in await service.entries(waiting.op.id, "grounding.decided")]
        (entry,) = await service.entries(waiting.op.id, "regrounded")
        told = await service.told(waiting.op.id)
        assert git(repo, "status", "--porcelain") == ""
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
    assert [(j["stand"], j["min_sources"]) for j in judged] == [("reground", 10), ("ask", 10)]
    assert {d["asked"]["budget_scale_milli"] for d in decided if d["purpose"] == "generate"} == {507}
    assert (entry.payload["why"], entry.payload["number"]) == (TOO_FEW_SOURCES, 0)
    assert len(judged[1]["facts"]["sources"]) > len(judged[0]["facts"]["sources"]), "the second look found the history"
    assert "a person is asked" in told and "it stands on too little" in " ".join(waiting.dossier.gating.reasons)  # type: ignore[union-attr]


async def test_what_has_changed_since_it_was_read_weighs_less_until_it_is_read_again(tmp_path: Path) -> None:
    """The owner commits a file that the answer rests on; the op looks at it again, on the branch as it now is."""
    repo = shop(tmp_path)
    heads = [git(repo, "rev-parse", "HEAD")]
    look = after_a_look(GOOD, CART, TEST)

    def say(conversation: Sequence[Message]) -> Said:
        said = look(conversation)
        if isinstance(said, str) and len(heads) == 1:
            heads.append(commit(repo, "Say why", {TEST: f"{(repo / TEST).read_text()}\n# Discounts are subtracted.\n"}))
        return said

    config = config_for(tmp_path, repo, grounding={"more_sources": 4})
    async with served(config, Talking(say, changes=[CART])) as (service, _):
        ending = await work(service, WORDY)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        judged = [e.payload for e in await record_of(service, ending.op.id, "grounding.judged")]
    assert [j["stand"] for j in judged] == ["reground", "act"]
    assert (
        judged[0]["why"].startswith("5.5 of 6 independent sources") and f"file:{TEST} (this week)" in judged[0]["why"]
    )
    stale = [dict(j["facts"]["stale"]) for j in judged]
    assert stale == [{f"file:{TEST}": "this week"}, {"said:manual": "this week"}], "the words are of the commit before"
    assert ending.op.base == heads[1] == git(repo, "rev-parse", "HEAD^")


OFF = {"policy": False, "regroundings": 0, "more_sources": 6}


async def test_without_the_policy_a_restless_answer_lands_as_any_other(tmp_path: Path) -> None:
    """As `ouro eval lift` measures it: no more sources are asked for, no time is taken away."""
    model = Restless(after_a_look(GOOD, CART, TEST), changes=[CART])
    async with served(config_for(tmp_path, shop(tmp_path), grounding=OFF), model) as (service, _):
        ending = await work(service, WORDY)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        judged = [e.payload for e in await record_of(service, ending.op.id, "grounding.judged")]
        decided = [e.payload["asked"] for e in await service.entries(ending.op.id, "grounding.decided")]
    assert [(j["stand"], j["min_sources"], j["facts"]["proximity_milli"]) for j in judged] == [("act", 0, 750)]
    assert {(asked["budget_scale_milli"], asked["deep"]) for asked in decided} == {(1_000, False)}


async def test_without_the_policy_a_collapsed_answer_is_not_acted_on(tmp_path: Path) -> None:
    repo, model = shop(tmp_path), degenerate(1)
    head = git(repo, "rev-parse", "HEAD")
    config = config_for(tmp_path, repo, grounding=OFF)
    async with model.serve() as server, served(config, provider_at(server)) as (service, _):
        ending = await work(service, WORDY)
        assert await record_of(service, ending.op.id, "regrounded") == []
    assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.COLLAPSE), ending.reason
    assert git(repo, "rev-parse", "HEAD") == head


def glances(conversation: Sequence[Message]) -> Said:
    """Looks as little as a simple op may, then answers."""
    looks = [call("read_file", path=CART), call("get_callers", symbol="total")]
    return GOOD if any(m.role == "tool" for m in conversation) else looks


async def test_who_is_little_trusted_has_to_look_further(tmp_path: Path) -> None:
    """Also where the model looks for itself; and a person has the last word."""
    sent_back = []
    for misses in (0, 9):
        (base := tmp_path / str(misses)).mkdir()
        async with served(config_for(base, shop(base)), Talking(glances, changes=[CART])) as (service, _):
            for number in range(misses):
                key = TrustKey(kind="provider", name=Talking.name)
                service.core.trust.learn(
                    Graded(record=number, about=About.CHANGE, outcome=ClaimOutcome.MISS, keys=(key,))
                )
            ending = await work(service, WORDY)
            assert (ending.request is not None) == bool(misses), ending.reason
            sent_back.append([e.payload["why"] for e in await service.entries(ending.op.id, "loop.sent_back")])
    assert sent_back[0] == [] and "Explore more before editing (moderate)" in sent_back[1][0]


class Faltering(Infilling):
    """The first batch of holes collapses; behind that it knows the answer."""

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        if not self.requests:
            self.requests.append(request)
            raise CollapseDetected(0.95, "loop", 31, provider=self.name)
        return await super().infill(request)


async def test_a_search_whose_holes_collapse_goes_on_from_fresh_evidence(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})
    model = Faltering(
        lambda prefix, suffix: ["return subtotal - discount"] if prefix.endswith("sum(prices)\n    ") else []
    )
    async with served(config_for(tmp_path, repo, repair={"moves": False}), model) as (service, _):
        ending = await work(service)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        (entry,) = await record_of(service, ending.op.id, "regrounded")
        (judged,) = await service.entries(ending.op.id, "grounding.judged")
        started = [e.payload for e in await service.entries(ending.op.id, "call.started")]
    first, again = model.requests[:2]
    assert (first.caution_milli, again.caution_milli) == (0, 950)
    assert [s.suffix for s in again.spans] == [s.suffix for s in first.spans], "the same holes are asked for again"
    assert "Speed up totals" in again.spans[0].prefix and "Speed up totals" not in first.spans[0].prefix
    assert entry.payload["proximity_milli"] == 950 and "tests" in entry.payload["before"]
    assert judged.payload["facts"]["proximity_milli"] == 0, "the candidate's own answer was calm"
    assert [p.get("caution_milli") for p in started[:2]] == [None, 950] and "temperature_milli" in started[1]
