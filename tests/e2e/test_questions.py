"""A model asks the owner: over the real socket, with nobody there, and with the daemon stopped meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.control.client import Client
from daemon.control.messages import AnswerRequest, OpRef, RejectRequest
from daemon.views.render import ops_block, status_block
from daemon.views.text import show
from kernel.provider import Message
from ledger.vocabulary import RootCause
from tests.e2e.serving import record_of, served
from tests.e2e.talking import Said, Talking, call, looked, swap
from tests.e2e.test_approvals import BETTER, CART, DOC, GOAL
from tests.e2e.world import SHOP, config_for, ended, repo_with

QUESTION, CHOICES = "Before or after tax?", ["before", "after"]


def asking() -> Talking:
    """Looks around and asks in the first turn, answers in the second."""

    def say(conversation: Sequence[Message]) -> Said:
        if any(m.role == "tool" for m in conversation):
            return swap(CART, DOC, BETTER)
        return [*looked(CART), call("ask_human", question=QUESTION, choices=CHOICES)]

    return Talking(say)


def heard(model: Talking) -> str:
    return "\n".join(m.text for turn in model.asked for m in turn)


async def test_the_owner_answers_over_the_socket_and_has_approved_nothing(tmp_path: Path) -> None:
    repo, model = repo_with(tmp_path / "shop", SHOP), asking()
    config = config_for(tmp_path, repo)
    async with (
        served(config, model) as (service, _),
        await Client.connect(config.places.socket, config.settings.control, token=config.places.token) as client,
    ):
        await client.submit(GOAL)
        asked = await service.until("question.asked")
        status = await client.status()
        (waits,) = status.waiting
        assert waits.question is not None and status.active == ()
        assert (waits.id, waits.question.text, waits.question.choices) == (asked.op_id, QUESTION, tuple(CHOICES))
        shown = show(status_block(status), colour=False)
        assert f"asks      {QUESTION} · 1) before · 2) after" in shown and f"ouro answer {waits.short}" in shown
        assert "WAITING" in show(ops_block([waits]), colour=False)
        said = await client.answer(AnswerRequest(op=waits.question.id, text="2"))
        assert said.op == waits.id
        ending = await ended(service.core)
        assert ending.request is not None, "an answer is no approval"
        assert (await client.show(OpRef(op=waits.id))).question is None
        (answered,) = await service.entries(waits.id, "question.answered")
        assert (answered.payload["answer"], answered.payload["by"]) == ("after", "owner")
        assert "answer: after" in await service.told(waits.id)
        await client.reject(RejectRequest(op=waits.id))
        assert (await ended(service.core)).cause is RootCause.APPROVAL_REJECTED
    assert "A person has answered:\nafter\n</data>" in heard(model)
    assert (repo / CART).read_text() == SHOP[CART]


async def test_with_nobody_there_the_op_goes_on_without(tmp_path: Path) -> None:
    repo, model = repo_with(tmp_path / "shop", SHOP), asking()
    async with served(config_for(tmp_path, repo, approval={"timeout_s": 1}), model) as (service, api):
        await api.submit(GOAL)
        ending = await ended(service.core)
        assert ending.request is not None
        assert len(await service.entries(ending.op.id, "question.expired")) == 1
        assert (await ended(service.core)).cause is RootCause.APPROVAL_EXPIRED
    assert "Nobody answered in time" in heard(model)


async def test_a_stop_ends_the_question_with_its_op(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo, service={"stop_grace_s": 0})
    async with served(config, asking()) as (service, api):
        await api.submit(GOAL)
        asked = await service.until("question.asked")
    async with record_of(config) as ledger:
        events = [e.payload.get("event") for e in await ledger.entries(op_id=asked.op_id)]
        assert events.count("question.withdrawn") == 1 and "terminal" in events
        assert await ledger.query("SELECT * FROM questions") == []


async def test_which_tools_there_are_is_the_owners_choice(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)

    async def names(**sections: object) -> set[str]:
        async with served(config_for(tmp_path, repo, **sections), asking()) as (service, _):
            return {spec.name for spec in service.runtime.orchestrator.services.toolbox.schemas()}

    search, listed = {"search_url": "http://localhost:8888/search"}, {"domains": ["docs.python.org", "localhost:8888"]}
    assert "ask_human" in await names() and not {"web_fetch", "web_search"} & await names(web=search)
    assert {"web_fetch", "web_search"} & await names(tool_policy=listed) == {"web_fetch"}
    assert {"web_fetch", "web_search"} <= await names(tool_policy=listed, web=search)
