"""The owner's own work is never touched: dirty files, staged files, untracked files, a moving or detached HEAD."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from daemon.control.messages import SubmitRequest
from daemon.control.service_api import ServiceApi
from governance.pipeline.ending import Ending
from ledger.vocabulary import OpOutcome
from tests.e2e.serving import Serving, served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git, write

CART = "shop/cart.py"
FAILING = "tests/test_cart.py::test_total_with_discount"
NOTES = {"notes.txt": "one\ntwo\n", "todo.txt": "todo\n", "old.txt": "old\n", "both.txt": "a\n", "docs/x.md": "x\n"}


def broken_shop(tmp_path: Path) -> Path:
    repo = repo_with(tmp_path / "shop", {**SHOP, **NOTES})
    commit(repo, "Speed up totals", {CART: PLUS})
    return repo


def bytes_of(repo: Path) -> dict[str, tuple[str, int]]:
    """Content and mode of every file of the checkout, except git's own and the environment's."""
    found = {}
    for path in sorted(repo.rglob("*")):
        name = path.relative_to(repo).as_posix()
        if path.is_file() and not name.startswith((".git/", ".venv/")):
            found[name] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
    return found


def staged(repo: Path) -> dict[str, str]:
    """The owner's index: mode, object and stage of each path."""
    rows = (row.split("\t") for row in git(repo, "ls-files", "-s").splitlines())
    return {path: meta for meta, path in rows}


def without(path: str, table: Mapping[str, object]) -> dict[str, object]:
    return {k: v for k, v in table.items() if k != path}


GOAL = SubmitRequest(goal="Take the discount off", files=(CART,), closed_when=(FAILING,))


async def repaired(service: Serving) -> Ending:
    """Submitted rather than scanned for: what is seen here is where the work lands."""
    assert (await ServiceApi(service).submit(GOAL)).status == "queued"
    return await ended(service.core)


async def test_what_the_owner_has_under_way_stays_to_the_byte_and_staged(tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    write(repo, {"notes.txt": "one\ntwo, changed\n"})  # dirty
    write(repo, {"todo.txt": "todo, staged\n", "new.txt": "staged and new\n"})
    git(repo, "add", "todo.txt", "new.txt")
    git(repo, "rm", "-q", "--cached", "old.txt")  # a staged deletion, still on disk
    write(repo, {"both.txt": "staged\n"})
    git(repo, "add", "both.txt")
    write(repo, {"both.txt": "staged, then changed again\n", "scratch.txt": "untracked\n", "later.txt": "intended\n"})
    git(repo, "add", "-N", "later.txt")
    files, index = bytes_of(repo), staged(repo)
    status, cached = git(repo, "status", "--porcelain"), git(repo, "diff", "--cached")
    head = git(repo, "rev-parse", "HEAD")
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, _):
        ending = await repaired(service)
    assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert git(repo, "rev-parse", "HEAD^") == head
    assert git(repo, "show", "--name-only", "--format=", "HEAD") == CART
    assert (repo / CART).read_text() == SHOP[CART]
    assert without(CART, bytes_of(repo)) == without(CART, files)
    assert without(CART, staged(repo)) == without(CART, index)
    assert git(repo, "status", "--porcelain") == status
    assert git(repo, "diff", "--cached") == cached


@pytest.mark.parametrize("how", ["dirty", pytest.param("staged", marks=pytest.mark.long)])
async def test_where_the_owner_works_on_the_file_itself_a_review_branch_holds_the_work(
    tmp_path: Path, how: str
) -> None:
    repo = broken_shop(tmp_path)
    write(repo, {CART: PLUS + "\n\ndef half(x):\n    return x / 2\n"})
    if how == "staged":
        git(repo, "add", CART)
    files, index, head = bytes_of(repo), staged(repo), git(repo, "rev-parse", "HEAD")
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, api):
        ending = await repaired(service)
        branch = f"ouro/review/{ending.op.id}"
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.branch == branch
        told = await service.told(ending.op.id)
        assert branch in told
        assert f"work of his own in {CART}" in told
        status = await api.status()
        assert any(branch in note for note in status.notes), status.notes
        again = await api.submit(GOAL)
        assert again.status == "suppressed"
        assert branch in again.message
    assert bytes_of(repo) == files
    assert staged(repo) == index
    assert git(repo, "rev-parse", "HEAD") == head
    assert git(repo, "rev-parse", f"{branch}^") == head
    assert git(repo, "show", f"{branch}:{CART}") + "\n" == SHOP[CART]


async def test_a_review_branch_that_the_owner_deletes_is_a_rejection(tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    write(repo, {CART: PLUS + "\n# the owner's line\n"})
    model = Infilling(lambda prefix, _: ["subtotal - discount"] if prefix.endswith("return ") else [])
    async with served(config_for(tmp_path, repo), model) as (service, api):
        first = await repaired(service)
        git(repo, "branch", "-D", f"ouro/review/{first.op.id}")
        write(repo, {CART: PLUS})
        await service.sensors.settle_branches()
        second = await repaired(service)
        assert second.state is OpOutcome.POSTMORTEM
        assert "gate19.undone" in second.reason, second.reason
        assert "gate19.undone" in await service.told(second.op.id)
        assert not any("ouro/review" in note for note in (await api.status()).notes)
    assert git(repo, "branch", "--list", "ouro/*") == ""


async def test_a_merge_that_begins_meanwhile_is_waited_for(tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    git(repo, "checkout", "-q", "-b", "other", "HEAD^")
    commit(repo, "Otherwise", {"notes.txt": "other\n"})
    git(repo, "checkout", "-q", "main")
    head = git(repo, "rev-parse", "HEAD")
    model = Infilling(once(lambda: git(repo, "merge", "-q", "--no-commit", "--no-ff", "other")))
    config = config_for(tmp_path, repo, test_failure={"debounce_s": 0.1})
    async with served(config, model, watch=True) as (service, _):
        first = await ended(service.core)
        assert first.state is OpOutcome.POSTMORTEM
        assert "A merge is under way" in first.reason
        assert git(repo, "status", "--porcelain") == "M  notes.txt"
        git(repo, "merge", "--abort")
        second = await ended(service.core)
        assert second.state is OpOutcome.COMPLETE, (second.cause, second.reason)
    assert git(repo, "rev-parse", "HEAD^") == head
    assert (repo / CART).read_text() == SHOP[CART]


@pytest.mark.long
async def test_a_review_branch_that_the_owner_merges_is_taken_over(tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    git(repo, "checkout", "-q", "--detach")
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, api):
        first = await repaired(service)
        git(repo, "checkout", "-q", "main")
        git(repo, "merge", "-q", f"ouro/review/{first.op.id}")
        git(repo, "branch", "-d", f"ouro/review/{first.op.id}")
        await service.sensors.settle_branches()
        assert not any("ouro/review" in note for note in (await api.status()).notes)
        assert await service.core.refused.hashes() == ()


async def test_a_detached_head_gets_a_review_branch(tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    git(repo, "checkout", "-q", "--detach")
    files, head = bytes_of(repo), git(repo, "rev-parse", "HEAD")
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, _):
        ending = await repaired(service)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert "HEAD is detached" in await service.told(ending.op.id)
    assert bytes_of(repo) == files
    assert git(repo, "rev-parse", "HEAD") == head == git(repo, "rev-parse", f"ouro/review/{ending.op.id}^")
    assert git(repo, "rev-parse", "main") == head


def once(act: Callable[[], object]) -> Callable[[str, str], Sequence[str]]:
    """Infills as :func:`minus` does; before the first answer ``act`` is done."""
    done: list[bool] = []

    def answers(prefix: str, suffix: str) -> Sequence[str]:
        if not done:
            done.append(True)
            act()
        return minus(prefix, suffix)

    return answers


async def test_a_branch_that_moves_on_elsewhere_takes_the_repair_on_top(tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    model = Infilling(once(lambda: commit(repo, "Meanwhile", {"notes.txt": "meanwhile\n"})))
    async with served(config_for(tmp_path, repo), model) as (service, _):
        ending = await repaired(service)
    assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert git(repo, "log", "-1", "--format=%s", "main^") == "Meanwhile"
    assert (repo / CART).read_text() == SHOP[CART]
    assert (repo / "notes.txt").read_text() == "meanwhile\n"
    assert git(repo, "status", "--porcelain") == ""


async def test_a_branch_that_moves_on_in_the_same_file_is_not_overwritten(tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    theirs = PLUS + "\n\ndef half(x):\n    return x / 2\n"
    model = Infilling(once(lambda: commit(repo, "Meanwhile", {CART: theirs})))
    async with served(config_for(tmp_path, repo), model) as (service, _):
        ending = await repaired(service)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        told = await service.told(ending.op.id)
    if ending.branch is None:  # planned again on the new commit
        assert (repo / CART).read_text() == theirs.replace("+ discount", "- discount")
        assert git(repo, "log", "-1", "--format=%s", "main^") == "Meanwhile"
    else:
        assert f"moved on and changed {CART}" in told
        assert (repo / CART).read_text() == theirs
        assert git(repo, "log", "-1", "--format=%s", "main") == "Meanwhile"
    assert git(repo, "status", "--porcelain") == ""
