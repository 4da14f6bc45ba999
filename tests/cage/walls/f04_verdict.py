"""A program that makes the verdict on itself: it patches the runner through frames, forges results, equals everything.

Real runs of a repository with a mistake, in which each program takes the place of the one that has it. Without the
wall nothing watches the run.
"""

from __future__ import annotations

from pathlib import Path

from ledger.vocabulary import RunStatus
from tests.cage.hostile_candidates import BAD, CASES, PATH, TESTS, HostileCandidate, candidates
from tests.cage.walls import Unable
from tests.repos import git as git_in
from tests.repos import host_env, make_places, make_repo
from tests.tools.testing.projects import Project, make_environment, shared_packages
from tools.git import Git
from tools.sandbox.choice import choose
from tools.sandbox.settings import SandboxSettings
from tools.testing import runner
from tools.testing.environment.detection import detect
from tools.testing.report.watch import UNWATCHED
from tools.testing.settings import TestSettings
from tools.workspace import Workspaces, WorkspaceSettings

BEFORE_THE_SANDBOX = True
PLAYED = (
    "frames-runtest", "report-from-call", "plugin-module", "reporter-emit", "equal-int", "equal-to-ints",
    "items-object", "unittest-add-failure", "sentinels-told-apart",
)  # fmt: skip


async def project_in(base: Path, backend: str) -> Project:
    """The repository, an environment with pytest alone, and a copy to run in."""
    choice_of = SandboxSettings(backend=backend)  # type: ignore[arg-type]  # the cage names back ends by their names
    repo = base / "repo"
    make_repo(repo, {**TESTS, PATH: BAD})
    places = make_places(base / "ours", repo)
    choice = await choose(choice_of, places, host_env())
    if choice.sandbox is None:
        raise Unable(f"{backend} does not work here: {choice.remedy}")
    packages = shared_packages(base / "packages")
    settings = TestSettings(python=str(make_environment(base / "venv", packages)), readable=(str(packages),))
    workspaces = Workspaces(Git(places, host_env()), places, WorkspaceSettings(memory_folder=""))
    return Project(
        repo=repo, places=places, workspaces=workspaces,
        ws=await workspaces.acquire("op-test", git_in(repo, "rev-parse", "HEAD")),
        environment=await detect(places, settings, host_env()), settings=settings, sandbox=choice.sandbox,
    )  # fmt: skip


async def believed(project: Project, chosen: list[HostileCandidate]) -> list[str]:
    """Those of which the tests that failed are said to pass, without a doubt."""
    found = []
    async with project.runner().several(project.ws) as tests:
        for each in chosen:
            await tests.reset()
            project.write(each.files)
            run = await tests.run(each.failing)
            if run.status is RunStatus.INFRA:
                raise Unable(run.reason)
            if run.status is RunStatus.GREEN and not run.doubted:
                found.append(each.name)
    return found


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    assert TESTS.keys() == CASES.keys()
    if not wall:
        runner.watch = lambda *a, **k: UNWATCHED  # type: ignore[assignment]  # the wall that is taken away
    project = await project_in(base, backend)
    try:
        return await believed(project, [each for each in candidates() if each.name in PLAYED])
    finally:
        await project.workspaces.release(project.ws)
        await project.workspaces.close()
