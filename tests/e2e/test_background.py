"""The backlog and docstrings, from the owner's commit to ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.control.messages import OpRef, RejectRequest
from kernel.provider import Message
from ledger.vocabulary import OpOutcome, ParametersDocumented, RootCause, Source, Tier
from tests.e2e.serving import served
from tests.e2e.talking import InTurn, Said, Talking, after_a_look, looked, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import commit, git, write

CART, LIST = "shop/cart.py", ".ouro/backlog.toml"
LINE = "    subtotal = sum(prices)"
DONE = f"    if any(price < 0 for price in prices):\n        raise ValueError('a price is negative')\n{LINE}"
WISH = f'[[item]]\ngoal = "Let total() refuse negative prices"\nfiles = ["{CART}"]\n'
QUIET = {"debounce_s": 0.1}
QUICK = {
    "test_failure": QUIET,
    "router": {"coalesce_s": 0},
    "sensors": {"backlog": QUIET, "doc_staleness": {"enabled": True, "least_lines": 3, **QUIET}},
}


async def test_an_item_of_the_backlog_is_done_and_marked_in_one_commit(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    model = Talking(after_a_look(swap(CART, LINE, DONE), CART), changes=[CART])
    async with served(config_for(tmp_path, repo, **QUICK), model, watch=True) as (service, api):
        await service.until("sensor_looked", sensor="backlog")
        assert not [note for note in (await api.status()).notes if "backlog" in note]
        wished = commit(repo, "Wish", {LIST: WISH})
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert waiting.op.origin is Source("backlog")
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        made = git(repo, "rev-parse", "HEAD")
        await service.until("sensor_looked", sensor="backlog", commit=made)
        assert await service.core.router.idle()
    assert git(repo, "rev-parse", "HEAD^") == wished
    assert (repo / LIST).read_text() == WISH.replace("[[item]]\n", f'[[item]]\ndone = "{ending.op.id}"\n')
    assert "ValueError" in (repo / CART).read_text()
    assert git(repo, "status", "--porcelain") == ""


async def test_an_item_that_is_gone_when_its_turn_comes_costs_nothing(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, LIST: WISH})
    model = Talking(after_a_look(swap(CART, LINE, DONE), CART))
    async with served(config_for(tmp_path, repo, **QUICK), model) as (service, _):
        service.core.router.pause()
        assert await service.sensors.by_source[Source("backlog")].scan_once()
        commit(repo, "Never mind", {LIST: ""})
        service.core.router.resume()
        ending = await ended(service.core)
        assert ending.state is OpOutcome.NOOP, (ending.cause, ending.reason)
        assert "does not stand in .ouro/backlog.toml any more" in ending.reason
    assert model.asked == []


async def test_a_model_may_not_mark_the_item_itself(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, LIST: WISH})
    marks = swap(LIST, "[[item]]", '[[item]]\ndone = "op-1"')
    async with served(config_for(tmp_path, repo, **QUICK), Talking(after_a_look(marks, CART))) as (service, _):
        assert await service.sensors.by_source[Source("backlog")].scan_once()
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.POLICY_REFUSED), ending.reason
        assert "protected" in ending.reason
    assert (repo / LIST).read_text() == WISH


@pytest.mark.long
async def test_what_the_owner_rejected_is_not_applied_for_another_wish(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, LIST: WISH})
    model = Talking(after_a_look(swap(CART, LINE, DONE), CART), changes=[CART])
    async with served(config_for(tmp_path, repo, **QUICK), model) as (service, api):
        backlog = service.sensors.by_source[Source("backlog")]
        assert await backlog.scan_once()
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        await api.reject(RejectRequest(op=waiting.op.id, reason="not like that"))
        assert (await ended(service.core)).state is OpOutcome.CANCELLED
        wished = commit(repo, "Wish again", {LIST: WISH + WISH.replace("refuse", "raise for")})
        (told,) = await backlog.scan_once()
        assert "raise for" in told.goal
        second = await ended(service.core)
        assert (second.state, second.cause) == (OpOutcome.POSTMORTEM, RootCause.POLICY_REFUSED), second.reason
        assert "undone or rejected before" in second.reason and "gate19.undone" in second.reason
    assert git(repo, "rev-parse", "HEAD") == wished
    assert (repo / CART).read_text() == SHOP[CART]


@pytest.mark.long
async def test_an_open_backlog_in_the_owners_editor_sends_the_work_to_a_review_branch(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, LIST: WISH})
    model = Talking(after_a_look(swap(CART, LINE, DONE), CART))
    async with served(config_for(tmp_path, repo, **QUICK), model) as (service, api):
        assert await service.sensors.by_source[Source("backlog")].scan_once()
        waiting = await ended(service.core)
        write(repo, {LIST: WISH + "# and more\n"})
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.branch is not None
    assert (repo / LIST).read_text() == WISH + "# and more\n"
    assert ending.op.id in git(repo, "show", f"{ending.branch}:{LIST}")


NEW = "\n\ndef rest(prices, paid):\n    owed = sum(prices)\n    return owed - paid\n"
DOC = 'def rest(prices, paid):\n    """What is left to pay of the prices."""'


async def test_a_docstring_lands_by_itself_and_code_beside_it_does_not(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    answers = [
        swap(CART, "def rest(prices, paid):", DOC),
        swap(CART, "def owed(prices):\n    total = sum(prices)", 'def owed(prices):\n    """What is owed in all."""\n'
             "    total = 1 + sum(prices)"),
    ]  # fmt: skip
    model = Talking(lambda conversation: after_a_look(answers[0], CART)(conversation))
    async with served(config_for(tmp_path, repo, **QUICK), model, watch=True) as (service, _):
        await service.until("sensor_looked", sensor="doc_staleness")
        asked = commit(repo, "Add rest", {CART: SHOP[CART] + NEW})
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.dossier.tier is Tier.SAFE_AUTO
        assert git(repo, "rev-parse", "HEAD^") == asked
        assert DOC in (repo / CART).read_text()
        answers.pop(0)
        text = (repo / CART).read_text() + "\n\ndef owed(prices):\n    total = sum(prices)\n    return total\n"
        asked = commit(repo, "Add owed", {CART: text})
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert waiting.dossier.gating is not None
        assert "documentation was asked for, and what the program does changes" in " ".join(
            waiting.dossier.gating.reasons
        )
    assert git(repo, "rev-parse", "HEAD") == asked


async def test_green_tests_do_not_document_anything(tmp_path: Path) -> None:
    """Code beside it, an empty docstring, the symbol taken out of sight: the tests pass each time."""
    repo = repo_with(tmp_path / "shop", SHOP)
    first = git(repo, "rev-parse", "HEAD")
    attempts = [
        swap(CART, "    owed = sum(prices)", "    owed = sum(list(prices))"),
        swap(CART, "def rest(prices, paid):", 'def rest(prices, paid):\n    """ """'),
        swap(CART, "def rest(prices, paid):", "def _rest(prices, paid):"),
    ]
    model = InTurn(attempts, CART)

    async with served(config_for(tmp_path, repo, **QUICK), Talking(model), watch=True) as (service, _):
        await service.until("sensor_looked", sensor="doc_staleness", commit=first)
        asked = commit(repo, "Add rest", {CART: SHOP[CART] + NEW})
        ending = await ended(service.core)
        assert ending.op.origin is Source("doc_staleness")
        assert ending.state is OpOutcome.POSTMORTEM, (ending.cause, ending.reason)
        assert ending.cause in (RootCause.CLOSURE_OPEN, RootCause.POLICY_REFUSED), ending.reason
        runs = await service.entries(ending.op.id, "validated")
        assert runs and {run.payload["status"] for run in runs} == {"green"}
    assert "rest in shop/cart.py has no docstring that says something" in model.told[1]
    assert git(repo, "rev-parse", "HEAD") == asked


PAGE = "# The shop\n\nCall `owed_sum(prices)` or\n\n    owed_sum(prices, discount=1)\n"
WORDS = """def owed_sum(prices, discount=0):
    \"\"\"What is owed.

    Args:
        prices: of all that was bought
        discount: what is taken off
    \"\"\"
    total = sum(prices)
    return total - discount
"""


@pytest.mark.long
async def test_words_about_what_is_gone_are_brought_up_to_date(tmp_path: Path) -> None:
    """A docstring lands by itself when it is right, not before; a page waits for the owner's yes."""
    repo = repo_with(tmp_path / "shop", {**SHOP, CART: f"{SHOP[CART]}\n\n{WORDS}", "README.md": PAGE})
    first = git(repo, "rev-parse", "HEAD")
    was, right = "        discount: what is taken off", "        rebate: what is taken off"
    words = [swap(CART, was, "        discount: what is taken off, as a rebate"), swap(CART, was, right)]
    page = swap("README.md", "    owed_sum(prices, discount=1)", "    owed_sum(prices, rebate=1)")
    told: list[str] = []

    def say(conversation: Sequence[Message]) -> Said:
        text = "\n".join(m.text for m in conversation)
        if not any(m.role == "tool" for m in conversation):
            return looked(CART, "README.md")
        if "Bring README.md up to date" in text:
            return page
        told.append(text)
        return words[min(len(told), len(words)) - 1]

    async with served(config_for(tmp_path, repo, **QUICK), Talking(say), watch=True) as (service, api):
        await service.until("sensor_looked", sensor="doc_staleness", commit=first)
        now = WORDS.replace("discount=0", "rebate=0").replace("- discount", "- rebate")
        commit(repo, "Rebate", {CART: f"{SHOP[CART]}\n\n{now}"})
        both = [await ended(service.core), await ended(service.core)]
        (done,) = [ending for ending in both if ending.request is None]
        (waiting,) = [ending for ending in both if ending.request is not None]
        assert done.state is OpOutcome.COMPLETE, (done.cause, done.reason)
        assert isinstance(done.op.signals[0].closure, ParametersDocumented)
        assert right in (repo / CART).read_text()
        assert waiting.op.goal.endswith("it names the parameter discount of owed_sum, which is gone (now rebate)")
        reasons = " ".join(waiting.dossier.gating.reasons if waiting.dossier.gating else ())
        assert "a page can stop naming a thing" in reasons and "what the program does" not in reasons
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert "still speaks of discount, which owed_sum lacks" in told[1]
    assert "rebate=1" in (repo / "README.md").read_text()
