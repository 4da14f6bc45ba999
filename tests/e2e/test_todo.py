"""A comment that asks for something, from the commit that brings it to the one that does it; and what is no answer."""

from __future__ import annotations

from pathlib import Path

from daemon.control.messages import OpRef
from daemon.control.service_api import ServiceApi
from daemon.record.replay import replay
from governance.changes.effects import Effects
from ledger.vocabulary import OpOutcome, Phase, RootCause, Source
from tests.e2e.serving import Serving, served
from tests.e2e.talking import InTurn, Talking, after_a_look, swap
from tests.e2e.world import SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git
from tools.git import Git

CART = "shop/cart.py"
LINE, ASKS = "    subtotal = sum(prices)", "    # TODO: refuse negative prices with a ValueError"
WITH_TODO = SHOP[CART].replace(LINE, f"{ASKS}\n{LINE}")
DONE = "    if any(price < 0 for price in prices):\n        raise ValueError('a price is negative')"
QUICK = {
    "test_failure": {"debounce_s": 0.1},
    "router": {"coalesce_s": 0},
    "sensors": {"todo_scanner": {"enabled": True, "debounce_s": 0.1}},
}


async def test_a_todo_that_comes_with_a_commit_is_done_and_gone(tmp_path: Path) -> None:
    old = {"shop/old.py": "# TODO: make all of this much faster\nSLOW = True\n"}
    repo = repo_with(tmp_path / "shop", {**SHOP, **old})
    first = git(repo, "rev-parse", "HEAD")
    model = Talking(after_a_look(swap(CART, ASKS, DONE), CART), changes=[CART])
    async with served(config_for(tmp_path, repo, **QUICK), model, watch=True) as (service, api):
        await service.until("sensor_looked", sensor="todo_scanner", commit=first)
        asked = commit(repo, "Ask for it", {CART: WITH_TODO})
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert (waiting.op.origin, waiting.op.targets) == (Source("todo_scanner"), (CART,))
        assert "a marker can go" in " ".join(waiting.dossier.gating.reasons if waiting.dossier.gating else ())
        assert git(repo, "rev-parse", "HEAD") == asked
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.dossier.verification is not None
        assert "the marker is gone" in ending.dossier.verification.closure_reason
        made = git(repo, "rev-parse", "HEAD")
        await service.until("sensor_looked", sensor="todo_scanner", commit=made)
        assert any(note == f"todo_scanner: Nothing new at {made[:12]}." for note in (await api.status()).notes)
        assert (await service.core.ledger.verify()).ok
        assert (await replay(service.core.ledger, op_id=ending.op.id)).differences == ()
    assert git(repo, "rev-parse", "HEAD^") == asked
    assert "ValueError" in (repo / CART).read_text() and "TODO" not in (repo / CART).read_text()
    assert "Done when" in " ".join(m.text for m in model.asked[0])
    assert "todo_scanner" in git(repo, "log", "-1", "--format=%(trailers:key=Ouro-Signal,valueonly)")


async def test_green_tests_do_not_do_what_a_todo_asks_for(tmp_path: Path) -> None:
    """The work without the comment's end, the comment in other words, the comment's end without work."""
    repo = repo_with(tmp_path / "shop", SHOP)
    first = git(repo, "rev-parse", "HEAD")
    attempts = [
        swap(CART, ASKS, f"{ASKS}\n{DONE}"),
        swap(CART, ASKS, f"    # TODO: think of negative prices\n{DONE}"),
        swap(CART, ASKS, f"    # Refuse negative prices with a ValueError\n{DONE}"),
        swap(CART, f"{ASKS}\n{LINE}", LINE),
    ]
    model = InTurn(attempts, CART)

    async with served(config_for(tmp_path, repo, **QUICK), Talking(model, changes=[CART]), watch=True) as (service, _):
        await service.until("sensor_looked", sensor="todo_scanner", commit=first)
        asked = commit(repo, "Ask for it", {CART: WITH_TODO})
        ending = await ended(service.core)
        assert ending.state is OpOutcome.POSTMORTEM, ending.reason
        assert ending.cause in (RootCause.CLOSURE_OPEN, RootCause.POLICY_REFUSED), ending.reason
        runs = await service.entries(ending.op.id, "validated")
        assert {run.payload["status"] for run in runs} == {"green"}
    assert len(model.told) == 4
    assert "the TODO still stands at shop/cart.py:3" in model.told[1]
    assert "has a TODO that was not there before" in model.told[2]
    assert "says the same without its marker" in model.told[3]
    assert "comments, blank space or docstrings only" in ending.reason
    assert git(repo, "rev-parse", "HEAD") == asked
    assert (repo / CART).read_text() == WITH_TODO


class Unquiet(Effects):
    """When the change is in the checkout, the owner's editor writes the comment over it once more."""

    def __init__(self, git: Git, cart: Path) -> None:
        super().__init__(git)
        self._cart = cart

    def step(self, effect: str, target: str) -> None:
        if effect == "unlink" and target.startswith(".ouro-"):
            self._cart.write_text(WITH_TODO)


class Restless(Serving):
    """The real service over such a repository."""

    def effects(self, git: Git) -> Effects:
        return Unquiet(git, self.config.places.repo / CART)


async def test_a_todo_that_is_back_when_the_tree_is_verified_is_not_done(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    model = Talking(after_a_look(swap(CART, ASKS, DONE), CART), changes=[CART])
    service = Restless(config_for(tmp_path, repo, **QUICK), model)
    try:
        await service.open()
        await service.bring_up()
        sensor = service.sensors.by_source[Source("todo_scanner")]
        await sensor.scan_once()
        asked = commit(repo, "Ask for it", {CART: WITH_TODO})
        await sensor.scan_once()
        waiting = await ended(service.core)
        await ServiceApi(service).approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)  # tried once more, and shown to the owner again
        (closure,) = await service.entries(ending.op.id, "closure")
    finally:
        await service.close()
    assert (ending.state, ending.request is None) == (Phase.APPROVE, False), ending.reason
    assert [f.rule for f in ending.dossier.feedback] == ["verify.closure"]
    assert closure.payload["closed"] is False and closure.phase is Phase.VERIFY
    assert "the TODO still stands" in closure.payload["reason"]
    assert (repo / CART).read_text() == WITH_TODO
    assert git(repo, "rev-parse", "HEAD") == asked


async def test_a_kernel_that_takes_no_words_makes_the_sensor_unavailable(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, CART: WITH_TODO})
    config = config_for(tmp_path, repo, **QUICK)
    async with served(config, Infilling(lambda prefix, suffix: [])) as (service, api):
        by_source = service.sensors.by_source
        assert {Source("backlog"), Source("todo_scanner")} <= set(by_source)
        for sensor in by_source.values():
            assert await sensor.scan_once() == ()
        (note,) = [note for note in (await api.status()).notes if "unavailable" in note]
        assert note.startswith("todo_scanner: unavailable: the kernel fills in code")
