"""A run of the suite that was made ready before it was asked for: the same answer, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from daemon.adapters.committed_tests import CommittedTests
from ledger.vocabulary import RunStatus
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, lived_in, repo_with
from tests.repos import commit, git

RED = "tests/test_cart.py::test_total_with_discount"
MARKED = "tests/test_mark.py::test_that_nobody_committed"
MARK = "def test_that_nobody_committed():\n    pass\n"


@asynccontextmanager
async def running_tests(tmp_path: Path) -> AsyncIterator[tuple[CommittedTests, Path]]:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with lived_in(config_for(tmp_path, repo), Infilling(minus)) as (_, sensing):
        yield sensing.committed_tests, repo
        assert copies(sensing.committed_tests, git(repo, "rev-parse", "HEAD")) == []


def copies(tests: CommittedTests, head: str) -> list[Path]:
    """The copies that there are of any commit."""
    return sorted(tests._workspaces._base(head).glob("suite@*"))


async def test_what_was_made_ready_is_what_runs_and_goes_with_its_run(tmp_path: Path) -> None:
    async with running_tests(tmp_path) as (tests, repo):
        head = git(repo, "rev-parse", "HEAD")
        await tests.prepare(head)
        both = copies(tests, head)
        for copy in both:
            (copy / "tree/tests/test_mark.py").write_text(MARK)  # by this we know it again
        run = await tests.run(head)
        assert run.status is RunStatus.GREEN and MARKED in run.collected
        (left,) = copies(tests, head)
        assert left in both
        assert (await tests.run(head, [MARKED])).collected == (MARKED,)  # once more, in the other one
        assert copies(tests, head) == []
        again = await tests.run(head)
        assert (again.status, len(again.collected)) == (RunStatus.GREEN, 2)


async def test_another_commit_gets_what_is_its_own(tmp_path: Path) -> None:
    async with running_tests(tmp_path) as (tests, repo):
        first = git(repo, "rev-parse", "HEAD")
        broken = commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
        await tests.prepare(first)
        before = copies(tests, first)
        run = await tests.run(broken)
        assert [result.id for result in run.red] == [RED]
        assert copies(tests, first) == before  # still ready
        await tests.prepare(broken)
        assert not {*before} & {*copies(tests, first)}
        await tests.discard_prepared()
        await tests.discard_prepared()
        assert copies(tests, first) == []


async def test_processes_that_die_before_they_are_asked_are_replaced(tmp_path: Path) -> None:
    async with running_tests(tmp_path) as (tests, repo):
        head = git(repo, "rev-parse", "HEAD")
        await tests.prepare(head)
        for ready in tests._prepared:
            process = ready.tests._tests._process
            assert process._process is not None
            process._process.cancel()
            await asyncio.wait({process._process})
        assert (await tests.run(head)).status is RunStatus.GREEN
        assert (await tests.run(head, [RED])).status is RunStatus.GREEN
