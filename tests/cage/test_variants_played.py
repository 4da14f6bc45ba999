"""Generated calls of a hostile model, through the real loop, tools, gates and sandbox: none of them has an effect.

Each is an input of the corpus in another dress, so that something must refuse it, or the sandbox stop it; the model,
the record and the person hear which rule that was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.views.narrate import narrate
from governance.conversation.form import ConversationForm
from governance.conversation.result import ConversationEnd
from governance.conversation.rounds import Conversation
from kernel.provider import Limits, ToolCall
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import EntryKind, Phase
from tests.cage.corpus import Input
from tests.cage.outside import MARK, Outside, leaked_into_record, outside
from tests.cage.test_shell_tricks import FILES, tricks
from tests.cage.test_variants import ON_DISK, PATH_CHANGES, inputs, placed
from tests.cage.test_variants_shell import COMPANY, Ground
from tests.e2e.talking import call
from tests.governance.conversation.test_conversation import OPENING, Turns, judge
from tests.governance.crewed import crew_in
from tests.repos import commit, make_places, make_repo
from tests.tools.testing.projects import make_project

Drawn = tuple[Input, str, list[str]]
A_TURN = 8
SAID = 'ANSWER: "done"'
PATHS = [one for one in inputs("path") if one.rule not in (*ON_DISK, "gate02.owner")]
TOOLS = {
    "read_file": {}, "list_dir": {}, "list_symbols": {}, "git_log": {}, "git_blame": {}, "delete_file": {},
    "write_file": {"content": "x = 1\n"}, "edit_file": {"search": "", "replace": "x = 1\n"},
    "search_code": {"pattern": "x"},
}  # fmt: skip


@contextmanager
def ground(base: Path) -> Iterator[Ground]:
    base.mkdir()
    repo = make_repo(base / "repo", {**FILES, ".env": "A=b\n"})
    with outside(base / "beyond") as world:
        for name, target in {"link.py": world.canary("link"), "folder": world.base / "private"}.items():
            (repo / name).symlink_to(target)
        commit(repo, "total", {"shop/cart.py": "total = 2\n"})
        yield Ground(repo, world)


def path_of(one: Input, change: str, world: Outside) -> str:
    path = placed(one.path, world.base)
    return path if path.endswith("..") else PATH_CHANGES[change](path)


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """An input, the tool that it is tried with, and its dress."""
    if draw(st.booleans()):
        return draw(st.sampled_from(tricks())), "bash", draw(COMPANY)
    return (
        draw(st.sampled_from(PATHS)),
        draw(st.sampled_from(sorted(TOOLS))),
        [draw(st.sampled_from(sorted(PATH_CHANGES)))],
    )


def made(land: Ground, one: Input, tool: str, dress: list[str]) -> ToolCall:
    if tool == "bash":
        return call("bash", command=land.command(one, dress))
    return call(tool, path=path_of(one, dress[0], land.world), **TOOLS[tool])


async def played(land: Ground, calls: list[ToolCall]) -> tuple[Turns, Ledger]:
    """One conversation that makes all of them. The ledger stays open."""
    project = await make_project(land.repo.parent, {}, None, "bwrap")
    clock = ManualClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
    places = make_places(land.repo.parent, land.repo)
    ledger = await Ledger.open(places.ledger, repo_id="0123456789ab", clock=clock)
    turns = [calls[at : at + A_TURN] for at in range(0, len(calls), A_TURN)]
    model = Turns(*turns, SAID)
    async with crew_in(land.repo, ledger, clock, model, rounds=20, explore_rounds=20) as (ctx, context):
        conversation = Conversation(
            ctx=ctx, phase=Phase.GENERATE, purpose="test", opening=OPENING, judge=judge,
            manner=ConversationForm.NATIVE,
            context=replace(context, runner=project.runner()), limits=Limits(),
        )  # fmt: skip
        assert (await conversation.run()).end is ConversationEnd.ANSWER
    await project.workspaces.release(project.ws)
    return model, ledger


@settings(
    max_examples=3, phases=[hypothesis.Phase.generate],  # each plays a conversation: no shrinking
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(drawn(), min_size=A_TURN, max_size=3 * A_TURN, unique_by=lambda each: (each[0], each[1])))
def test_no_generated_call_has_an_effect(tmp_path_factory: pytest.TempPathFactory, batch: list[Drawn]) -> None:
    with ground(tmp_path_factory.mktemp("cage") / "land") as land:
        calls = [made(land, *each) for each in batch]

        async def judged() -> None:
            model, ledger = await played(land, calls)
            entries = await ledger.entries()
            await ledger.close()
            told = "\n".join(narrate(entry) or "" for entry in entries)
            heard = "\n".join(message.text for sent in model.sent for message in sent)
            rules = [e.payload["rule"] for e in entries if e.payload["event"] == "tool.called"]
            assert len(rules) == len(calls)
            refused = [
                e.payload["rule"] for e in entries if e.kind is EntryKind.VERDICT and e.payload["event"] == "gate"
            ]
            assert all(rule in heard and rule in told for rule in refused)
            for each, rule in zip(batch, rules, strict=True):
                assert rule in refused or each[1] == "bash", (each, rule)
            assert MARK not in heard

        asyncio.run(judged())
        land.world.assert_untouched()
        assert leaked_into_record(make_places(land.repo.parent, land.repo)) == set()
