from __future__ import annotations

import asyncio
from pathlib import Path

from governance.verification.baseline import Baselines
from ledger.vocabulary import RunStatus, TestRun
from tests.governance.verification.test_measure import Played
from tests.repos import git, host_env, make_places, make_repo
from tools.git import Git
from tools.workspace import Workspaces, WorkspaceSettings


def workspaces_of(tmp_path: Path) -> tuple[Workspaces, Path, str]:
    repo = make_repo(tmp_path / "shop", {"a.py": "x = 1\n"})
    places = make_places(tmp_path, repo)
    workspaces = Workspaces(Git(places, host_env()), places, WorkspaceSettings())
    return workspaces, places.cache, git(repo, "rev-parse", "HEAD")


def saying(*statuses: RunStatus) -> Played:
    """A runner whose runs end so, one after the other."""
    return Played(*(TestRun(status=s, reason="so", collected=(), results=(), duration_ms=1) for s in statuses))


async def test_one_run_for_all_who_ask_and_none_that_says_nothing_is_kept(tmp_path: Path) -> None:
    workspaces, cache, commit = workspaces_of(tmp_path)
    baselines = Baselines(workspaces=workspaces)

    async def three(of: Baselines, runner: Played) -> list[RunStatus]:
        asked = (of.get(runner, commit, owner=f"op-{n}", coverage=False, limit_s=9) for n in range(3))
        return [run.status for run in await asyncio.gather(*asked)]

    told = await three(baselines, saying(RunStatus.INCONCLUSIVE, RunStatus.INFRA, RunStatus.RED))
    assert told == ["inconclusive", "infra", "red"]
    assert await three(baselines, saying()) == ["red"] * 3
    assert await three(Baselines(workspaces=workspaces), saying(RunStatus.GREEN)) == ["green"] * 3
    workspaces_left = list(cache.glob("workspaces/*/*"))
    assert workspaces_left == []


async def test_a_suite_that_does_not_end_burns_its_time_once_for_each_way_to_run_it(tmp_path: Path) -> None:
    workspaces, _, commit = workspaces_of(tmp_path)
    late, red = RunStatus.TIMEOUT, RunStatus.RED

    async def asked(of: Baselines, runner: Played, *how: tuple[bool, float]) -> list[RunStatus]:
        return [
            (await of.get(runner, commit, owner="op-1", coverage=coverage, limit_s=limit_s)).status
            for coverage, limit_s in how
        ]

    plain = Baselines(workspaces=workspaces)
    assert await asked(plain, saying(late), (False, 9), (False, 9), (True, 9), (False, 5)) == [late] * 4
    assert await asked(plain, saying(late, red), (False, 10), (True, 10), (True, 20), (False, 9)) == [
        late, late, red, red,
    ]  # fmt: skip
    traced = Baselines(workspaces=workspaces)
    assert await asked(traced, saying(late, red), (True, 9), (False, 9), (True, 9), (False, 9)) == [
        late, red, late, red,
    ]  # fmt: skip
