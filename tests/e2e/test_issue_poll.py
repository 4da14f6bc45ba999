"""An issue that nobody told of, asked for with a scripted ``gh``, from the list to the commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.settings.config import Config
from ledger.vocabulary import OpOutcome, RootCause, Source, TestsPass
from tests.daemon.webhook.knocking import SECTION, VARIABLES, free_port
from tests.e2e.serving import served
from tests.e2e.talking import Talking, after_a_look, swap
from tests.e2e.test_refusals import CART, FAILING, GOOD, TEST, shop
from tests.e2e.world import config_for, ended
from tests.repos import git
from tests.sensors.github_issue.scripted_gh import ScriptedGh, listed

STILL = {"debounce_s": 600.0, "debounce_most_s": 1_200.0}  # the failing test is not found by itself meanwhile
ASKED = {"authors": ("octocat",), "repositories": ("octo/shop",), "poll_s": 3_600.0}


def polled(tmp_path: Path, repo: Path, gh: ScriptedGh, **sections: object) -> Config:
    config = config_for(tmp_path, repo, test_failure=STILL, github_issue=ASKED, router={"coalesce_s": 0}, **sections)
    return replace(config, env=gh.env)


async def test_an_issue_of_a_list_becomes_a_commit_when_its_test_passes(tmp_path: Path) -> None:
    repo, gh = shop(tmp_path), ScriptedGh(tmp_path / "bin")
    gh.lists(listed(title="The discount is added", body=f"`{FAILING}` fails."))
    asked = git(repo, "rev-parse", "HEAD")
    model = Talking(after_a_look(GOOD, CART, TEST))
    async with served(polled(tmp_path, repo, gh), model, watch=True) as (service, _):
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.op.origin is Source("github_issue")
        assert [signal.closure for signal in ending.op.signals] == [TestsPass(ids=(FAILING,))]
        gh.lists()
        assert (
            await service.sensors.by_source[Source("github_issue")].scan_once() == ()
            and await service.core.router.idle()
        )
    assert git(repo, "rev-parse", "HEAD^") == asked
    assert {call[0] for call in gh.asked} == {str(tmp_path / "state")}


@pytest.mark.long
async def test_an_op_whose_test_stays_red_does_not_complete(tmp_path: Path) -> None:
    repo, gh = shop(tmp_path), ScriptedGh(tmp_path / "bin")
    gh.lists(listed(body=f"`{FAILING}` fails."))
    head = git(repo, "rev-parse", "HEAD")
    idle = swap(CART, "    subtotal = sum(prices)", "    subtotal = sum(list(prices))")
    async with served(polled(tmp_path, repo, gh), Talking(after_a_look(idle, CART, TEST)), watch=True) as (service, _):
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.NO_CANDIDATE), ending.reason
    assert git(repo, "rev-parse", "HEAD") == head


async def test_where_webhooks_are_heard_nobody_asks_and_a_login_that_lacks_is_told(tmp_path: Path) -> None:
    repo, gh = shop(tmp_path), ScriptedGh(tmp_path / "bin")
    gh.fails(4, "To get started with GitHub CLI, please run:  gh auth login\n")
    async with served(polled(tmp_path, repo, gh), Talking(lambda _: "nothing")) as (service, api):
        assert await service.sensors.by_source[Source("github_issue")].scan_once() == ()
        notes = (await api.status()).notes
        assert [note for note in notes if "gh" in note] == [
            "github_issue: unavailable: gh is not logged in: `gh auth login`"
        ]
    asked = gh.asked
    config = polled(tmp_path, repo, gh, webhook={"port": free_port(), **SECTION})
    config = replace(config, secret=VARIABLES.get)
    async with served(config, Talking(lambda _: "nothing")) as (service, _):
        assert await service.sensors.by_source[Source("github_issue")].scan_once() == ()
    assert gh.asked == asked
