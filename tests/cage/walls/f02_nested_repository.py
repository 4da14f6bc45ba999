"""Code in a workspace (a test, a command) leaves repositories behind: git, outside, looks at the workspace then."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cage.walls import trees
from tests.repos import commit, host_env, make_places, make_repo
from tools.git import Git
from tools.sandbox.types import Job, Mount
from tools.workspace import Workspaces, WorkspaceSettings

BEFORE_THE_SANDBOX = True


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    canary = base / "canary"
    repo = make_repo(base / "repo", {"a.py": "a = 1\n", "pkg/b.py": "b = 1\n"})
    commit(repo, "more", {"file": "text\n"})
    head = trees.with_submodule(repo)
    places = make_places(base, repo)
    sandbox = await trees.box(backend, places)
    if not wall:
        trees.without_the_rule()
    spaces = Workspaces(Git(places, host_env()), places, WorkspaceSettings(memory_folder=""))
    ws = await spaces.acquire("op", head)
    # In place of a submodule, of a folder and of a file; and beside them.
    script = "".join(trees.trap(canary, place) for place in (trees.SUB, "pkg", "a.py", "new/deep"))
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
    ws.untracked()
    await ws.overlay_checkout()
    await ws.reset()
    return [path.name for path in base.glob("canary*")]
