from __future__ import annotations

import asyncio
from pathlib import Path

from governance.baseline import Baselines
from ledger.vocabulary import RunStatus, TestRun
from tests.governance.test_measure import Played
from tests.repos import git, host_env, make_places, make_repo
from tools.git import Git
from tools.workspace import Workspaces, WorkspaceSettings


def saying(*statuses: RunStatus) -> Played:
    """A runner whose runs end so, one after the other."""
    return Played(*(TestRun(status=s, reason="so", collected=(), results=(), duration_ms=1) for s in statuses))


async def test_one_run_for_all_who_ask_and_none_that_says_nothing_is_kept(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "shop", {"a.py": "x = 1\n"})
    places = make_places(tmp_path, repo)
    workspaces = Workspaces(Git(places, host_env()), places, WorkspaceSettings())
    baselines, commit = Baselines(workspaces=workspaces), git(repo, "rev-parse", "HEAD")

    async def three(of: Baselines, runner: Played) -> list[RunStatus]:
        asked = (of.get(runner, commit, owner=f"op-{n}", coverage=False, limit_s=9) for n in range(3))
        return [run.status for run in await asyncio.gather(*asked)]

    told = await three(baselines, saying(RunStatus.TIMEOUT, RunStatus.INFRA, RunStatus.RED))
    assert told == ["timeout", "infra", "red"]
    assert await three(baselines, saying()) == ["red"] * 3
    assert await three(Baselines(workspaces=workspaces), saying(RunStatus.GREEN)) == ["green"] * 3
    workspaces_left = list(places.cache.glob("workspaces/*/*"))
    assert workspaces_left == []
