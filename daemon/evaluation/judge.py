"""Whether what was committed is a repair: all tests, shown and hidden, on the committed tree."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from daemon.adapters.test_setup import find_test_setup
from daemon.evaluation.tasks import Task
from daemon.settings.config import Config
from governance.repair.reproduce import VERDICTS
from ledger.vocabulary import TestRun
from tools.git import Git
from tools.testing.runner import TestRunner
from tools.testing.selection.names import includes_test
from tools.workspace import Workspaces


class Verdict(StrEnum):
    """On the tree that the repairer left."""

    RIGHT = "right"
    WRONG = "wrong"
    NOTHING = "nothing"  # no commit was made
    UNCLEAR = "unclear"  # the tests could not be run


@dataclass(frozen=True, slots=True)
class HiddenVerdict:
    verdict: Verdict
    why: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Tools:
    """What runs the tests of one repository, with no daemon around it."""

    git: Git
    workspaces: Workspaces
    runner: TestRunner


async def tools_for(config: Config) -> Tools:
    """Raises ``SandboxMissing`` where untrusted code may not be run, ``TestsUnavailable`` where no tests can."""
    setup = await find_test_setup(config, heavy=asyncio.Semaphore(1))
    runner = setup.require_runner()
    git = Git(config.places, config.env)
    return Tools(git, Workspaces(git, config.places, config.settings.workspace), runner)


async def judge(task: Task, config: Config, *, start: str) -> HiddenVerdict:
    """Run every test of the task on ``HEAD``, in the sandbox and the environment that the repairer used.

    ``start``: the commit that the repairer was given.
    """
    tools = await tools_for(config)
    if (await tools.git.call("rev-parse", "HEAD")).text.strip() == start:
        return HiddenVerdict(Verdict.NOTHING)
    workspace = await tools.workspaces.acquire("judge", "HEAD")
    try:
        if task.oracle.is_dir():
            await asyncio.to_thread(lay_over, task.oracle, workspace.root)
        return verdict(task, await tools.runner.run(workspace))
    finally:
        await tools.workspaces.release(workspace)


def lay_over(oracle: Path, root: Path) -> None:
    """The plain files of ``oracle`` in their places below ``root``.

    A link of the tree in that place, or on the way, is removed: through it the file would be written elsewhere.
    """
    for folder, names, files in os.walk(oracle):
        place = root / Path(folder).relative_to(oracle)
        names[:] = [name for name in names if not (Path(folder) / name).is_symlink()]
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
        place.mkdir(exist_ok=True)
        for name in files:
            if stat.S_ISREG((Path(folder) / name).lstat().st_mode):
                if (place / name).is_symlink() or (place / name).is_file():
                    (place / name).unlink()
                shutil.copy2(Path(folder) / name, place / name, follow_symlinks=False)


def verdict(task: Task, run: TestRun) -> HiddenVerdict:
    """Right when nothing is red but what was known to be, and every test that was red has passed. Pure."""
    if run.status not in VERDICTS:
        return HiddenVerdict(Verdict.UNCLEAR, run.reason, True)
    bad = [r.id for r in run.red if not any(includes_test(known, r.id) for known in task.about.known_red)]
    ran = {r.id for r in run.results}
    bad += [test for test in task.about.red if not any(includes_test(test, one) for one in ran)]
    return (
        HiddenVerdict(Verdict.WRONG, f"still red: {', '.join(bad[:5])}", True)
        if bad
        else HiddenVerdict(Verdict.RIGHT, "", True)
    )
