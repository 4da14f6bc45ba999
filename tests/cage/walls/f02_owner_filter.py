"""A test writes attributes and the program that a filter of the owner's starts from the folder that git is in."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cage.walls import trees
from tests.repos import git, host_env, make_places, make_repo
from tools.git import Git
from tools.sandbox.types import Job, Mount
from tools.workspace import Workspaces, WorkspaceSettings

BEFORE_THE_SANDBOX = True


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    canary = base / "canary"
    repo = make_repo(base / "repo", {"a.py": "a = 1\n"})
    places = make_places(base, repo)
    git(repo, "config", "--file", str(places.home / ".gitconfig"), "filter.tidy.clean", "sh tools/tidy.sh")
    sandbox = await trees.box(backend, places)
    if not wall:
        trees.with_filters()
    spaces = Workspaces(Git(places, host_env(HOME=str(places.home))), places, WorkspaceSettings(memory_folder=""))
    ws = await spaces.acquire("op", git(repo, "rev-parse", "HEAD"))
    script = (
        "mkdir tools; echo '* filter=tidy' > .gitattributes; echo 'a = 2' > a.py\n"
        f"echo 'touch {canary}; cat' > tools/tidy.sh\n"
    )
    done = await sandbox.run(
        Job(
            argv=("sh", "-c", script),
            cwd=ws.root,
            mounts=(Mount(source=ws.root, target=ws.root, writable=True, ours=True),),
            timeout_s=60,
        )
    )
    if done.code != 0:
        sys.exit(f"the trap was not laid: {done.output!r}")
    await ws.changed()
    await ws.diff()
    await ws.tree()
    await ws.reset()
    return [path.name for path in base.glob("canary*")]
