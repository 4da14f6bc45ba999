"""What the senses make of what they see: the owner's own edits, several causes, flaky tests, a commit that breaks."""

from __future__ import annotations

import subprocess
from pathlib import Path

from daemon.control.messages import FixRequest
from daemon.lifecycle.wakeup import install
from kernel.provider import Health
from ledger.places import Places
from ledger.vocabulary import OpOutcome, RootCause
from tests.e2e.serving import served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, lived_in, repo_with
from tests.repos import commit, git, host_env, write

CART = "shop/cart.py"
QUICK = {"debounce_s": 0.1}
ALL_OF_IT = (
    SHOP[CART].replace("discount=0", "discount=0, *, shipping=0").replace("- discount\n", "- discount + shipping\n")
)


def owner_runs_tests(repo: Path, places: Places) -> int:
    """The owner's own pytest run, in an environment that `ouro init` has given its wake-up."""
    site = next((repo / ".venv" / "lib").glob("python*")) / "site-packages"
    assert install(site, places)
    run = [str(repo / ".venv/bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(run, cwd=repo, env=host_env().variables, capture_output=True, check=False).returncode


async def test_red_only_in_uncommitted_edits_is_no_op_but_a_note(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    write(repo, {CART: PLUS})
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, api):
        assert owner_runs_tests(repo, service.config.places) == 1
        found = await service.sensors.scan(None)
        assert found.signals == ()
        assert await service.core.router.idle()
        status = await api.status()
        assert any("red only in uncommitted edits" in note for note in status.notes), status.notes
        assert "uncommitted" in status.suite.note
    assert (repo / CART).read_text() == PLUS


async def test_eager_repairs_a_snapshot_on_a_review_branch(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    mine = ALL_OF_IT.replace("- discount", "+ discount")  # a new feature of the owner's, and a slip in it
    write(repo, {CART: mine, "scratch.txt": "untracked\n"})
    head = git(repo, "rev-parse", "HEAD")
    config = config_for(tmp_path, repo, test_failure={**QUICK, "eager": True})
    model = Infilling(lambda prefix, _: ["subtotal - discount + shipping"] if prefix.endswith("return ") else [])
    async with served(config, model) as (service, api):
        found = await service.sensors.scan(None)
        assert len(found.signals) == 1, found.message
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        branch = ending.branch
        assert branch == f"ouro/review/{ending.op.id}"
        assert any(branch in note for note in (await api.status()).notes)
    assert (repo / CART).read_text() == mine
    assert git(repo, "rev-parse", "HEAD") == head
    assert git(repo, "rev-parse", f"{branch}~2") == head
    assert git(repo, "show", f"{branch}:{CART}") + "\n" == ALL_OF_IT
    assert git(repo, "diff", "--name-only", f"{branch}^", branch) == CART
    assert git(repo, "status", "--porcelain").split("\n") == [f"M {CART}", "?? scratch.txt"]


async def test_eager_says_which_line_to_undo_when_head_is_the_repair(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    write(repo, {CART: PLUS})
    config = config_for(tmp_path, repo, test_failure={**QUICK, "eager": True})
    async with lived_in(config, Infilling(minus)) as (core, senses):
        await senses.scan(None)
        ending = await ended(core)
        assert ending.state is OpOutcome.NOOP, (ending.cause, ending.reason)
        assert f"{CART}:4" in ending.reason, ending.reason
        assert "subtotal + discount" in ending.reason
    assert (repo / CART).read_text() == PLUS
    assert git(repo, "branch", "--list", "ouro/*") == ""


async def test_two_causes_are_two_signals_and_two_commits(tmp_path: Path) -> None:
    names = {
        "shop/names.py": "def initial(name):\n    return name[0]\n",
        "tests/test_names.py": "from shop.names import initial\n\n\ndef test_it():\n    assert initial('ab') == 'a'\n",
    }
    repo = repo_with(tmp_path / "shop", {**SHOP, **names})
    broken = commit(repo, "Break both", {CART: PLUS, "shop/names.py": names["shop/names.py"].replace("[0]", "[9]")})

    def both(prefix: str, suffix: str) -> list[str]:
        if not prefix.endswith("return "):
            return []
        return ["name[0]"] if "initial" in prefix.rsplit("def ", 1)[-1] else ["subtotal - discount"]

    async with lived_in(config_for(tmp_path, repo), Infilling(both)) as (core, senses):
        found = await senses.scan(None)
        assert len(found.signals) == 2, found.message
        endings = [await ended(core) for _ in found.signals]
        assert {e.state for e in endings} == {OpOutcome.COMPLETE}, [(e.cause, e.reason) for e in endings]
        assert {p for e in endings for p in e.op.targets} == {"shop/names.py", "tests/test_cart.py"}
    assert git(repo, "rev-parse", "HEAD~2") == broken
    assert (repo / CART).read_text() == SHOP[CART]
    assert (repo / "shop/names.py").read_text() == names["shop/names.py"]


async def test_a_flaky_test_is_no_op(tmp_path: Path) -> None:
    flaky = (  # it fails after the other test has run, and passes alone
        "import shop\n\n\ndef test_first():\n    shop.seen = True\n\n\n"
        "def test_sometimes():\n    assert not hasattr(shop, 'seen')\n"
    )
    repo = repo_with(tmp_path / "shop", {**SHOP, "tests/test_flaky.py": flaky})
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, api):
        found = await service.sensors.scan(None)
        assert found.signals == ()
        assert "test_sometimes failed once and passed when run again" in found.message
        assert await service.core.router.idle()
        assert "failed once" in (await api.status()).suite.note


class Absent(Infilling):
    """A model whose weights are not there."""

    async def health(self) -> Health:
        return Health(ready=False, detail="The weights are not here. Get them: `ouro model pull`.")


async def test_what_failed_for_want_of_a_model_is_taken_up_by_the_next_boot(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})
    config = config_for(tmp_path, repo, test_failure=QUICK)
    async with served(config, Absent(minus), watch=True) as (service, api):
        ending = await ended(service.core)
        assert ending.cause is RootCause.PROVIDER_UNAVAILABLE
        assert "The weights are not here" in ending.reason
        assert "The weights are not here" in " ".join((await api.status()).reasons)
        assert not (await service.sensors.scan(None)).signals  # it was given up a moment ago
        assert (await api.fix(FixRequest())).signals  # but the owner asks for it
        assert (await ended(service.core)).cause is RootCause.PROVIDER_UNAVAILABLE
    async with served(config, Infilling(minus), watch=True) as (service, _):
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert (repo / CART).read_text() == SHOP[CART]


async def test_a_commit_that_breaks_a_line_is_repaired_without_another_word(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo, test_failure=QUICK)
    async with served(config, Infilling(minus), watch=True) as (service, api):
        await service.until("known", commit=git(repo, "rev-parse", "HEAD"), green=True)
        broken = commit(repo, "Speed up totals", {CART: PLUS})
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert git(repo, "rev-parse", "HEAD^") == broken
        assert (repo / CART).read_text() == SHOP[CART]
        await service.until("known", commit=git(repo, "rev-parse", "HEAD"), green=True)
        assert service.core.reports.ended.empty()  # its own commit wakes it, and there is nothing to do
        assert (await api.status()).suite.status == "green"


async def test_a_test_that_needs_the_network_is_left_alone_and_said_to_be(tmp_path: Path) -> None:
    net = "import socket\n\n\ndef test_net():\n    socket.create_connection(('example.org', 80), timeout=5)\n"
    repo = repo_with(tmp_path / "shop", {**SHOP, "tests/test_net.py": net})
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    async with served(config_for(tmp_path, repo), Infilling(lambda prefix, suffix: [])) as (service, _):
        found = await service.sensors.scan(None)
        assert len(found.signals) == 1, found.message
        assert any("tests/test_net.py::test_net: needs the network" in note for note in service.sensors.notes())
        ending = await ended(service.core)
        assert ending.op.test_ids == ("tests/test_cart.py::test_total_with_discount",)
