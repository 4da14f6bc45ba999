from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from governance.baseline import Baselines
from ledger.vocabulary import RunStatus, TestRun
from tests.repos import git, host_env, make_places, make_repo
from tools.git import Git
from tools.testing.runner import TestRunner
from tools.workspace import Workspace, Workspaces, WorkspaceSettings


class Saying(TestRunner):
    """Answers with these statuses, one after the other."""

    def __init__(self, *statuses: RunStatus) -> None:
        self.left = list(statuses)

    async def run(
        self,
        ws: Workspace,
        ids: Sequence[str] | None = None,
        *,
        coverage: bool = False,
        limit_s: float | None = None,
        expected: Sequence[str] | None = None,
        use_heavy: bool = True,
    ) -> TestRun:
        await asyncio.sleep(0)
        return TestRun(status=self.left.pop(0), reason="so", collected=(), results=(), duration_ms=1)


async def test_one_run_for_all_who_ask_and_none_that_says_nothing_is_kept(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "shop", {"a.py": "x = 1\n"})
    places = make_places(tmp_path, repo)
    workspaces = Workspaces(Git(places, host_env()), places, WorkspaceSettings())
    baselines, commit = Baselines(workspaces=workspaces), git(repo, "rev-parse", "HEAD")

    async def three(runner: Saying) -> list[RunStatus]:
        asked = (baselines.get(runner, commit, owner=f"op-{n}", coverage=False, limit_s=9) for n in range(3))
        return [run.status for run in await asyncio.gather(*asked)]

    assert await three(Saying(RunStatus.TIMEOUT, RunStatus.INFRA, RunStatus.RED)) == ["timeout", "infra", "red"]
    assert await three(Saying()) == ["red"] * 3
    workspaces_left = list(places.cache.glob("workspaces/*/*"))
    assert workspaces_left == []
