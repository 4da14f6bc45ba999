"""A hook that the repository carries makes a repository at the place of a submodule: git, outside, runs its filter."""

from __future__ import annotations

import sys
from pathlib import Path

from governance.changes.hooks import SandboxedHooks
from governance.changes.settings import ChangeSettings
from ledger.errors import HookRefused
from tests.cage.walls import trees
from tests.governance.changes.scene import candidate, make_scene, modify
from tests.repos import commit, git

BEFORE_THE_SANDBOX = True


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    canary = base / "canary"
    scene = make_scene(base / "scene")
    hook = scene.repo / ".githooks/pre-commit"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\n{trees.trap(canary)}exit 0\n", encoding="utf-8")
    hook.chmod(0o755)
    commit(scene.repo, "hooks")
    git(scene.repo, "config", "core.hooksPath", ".githooks")
    scene.base = trees.with_submodule(scene.repo)
    sandbox = await trees.box(backend, scene.places)
    scene.changes._hooks = SandboxedHooks(git=scene.git, settings=ChangeSettings(), sandbox=sandbox)
    if not wall:
        trees.without_the_rule()
    try:
        await scene.run(candidate(modify("a.py", "a = 1\n", "a = 2\n")))
    except HookRefused as refused:
        if wall:  # without it git may find that the submodule was changed
            sys.exit(f"the trap was not laid: {refused.output}")
    return [path.name for path in base.glob("canary*")]
