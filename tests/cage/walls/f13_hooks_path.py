"""The repository's settings name a folder of the owner's as hooks folder: what lies in it would be seen inside."""

from __future__ import annotations

import secrets
from pathlib import Path

from governance.changes import hooks
from governance.changes.hooks import SandboxedHooks
from governance.changes.settings import ChangeSettings
from ledger.errors import HookRefused
from tests.cage.walls import trees
from tests.governance.changes.scene import OP, TEXT, candidate, make_scene, modify
from tests.repos import git

BEFORE_THE_SANDBOX = True
SCRIPT = "#!/bin/sh\n. ./payload.sh\n"


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    scene = make_scene(base / "scene", files={"a.py": "a = 1\n", "payload.sh": ""})
    sandbox = await trees.box(backend, scene.places)
    scene.changes._hooks = SandboxedHooks(git=scene.git, settings=ChangeSettings(), sandbox=sandbox)
    if not wall:
        hooks.forbidden_place = lambda path, places, *, named_by_owner: None
    through = []
    places = scene.places
    for folder in (places.home / ".ssh", places.home / ".tools/bin", places.state / "keys/x", base):
        # A program of that name that takes its orders from the repository, beside a secret of the owner's.
        folder.mkdir(parents=True, exist_ok=True)
        secret = secrets.token_hex(12)
        (folder / "secret").write_text(secret, encoding="utf-8")
        (folder / "pre-commit").write_text(SCRIPT, encoding="utf-8")
        (folder / "pre-commit").chmod(0o755)
        (scene.repo / "payload.sh").write_text(f"cat {folder}/secret; exit 1\n", encoding="utf-8")
        git(scene.repo, "add", "payload.sh")
        git(scene.repo, "-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "payload", "--allow-empty")
        git(scene.repo, "config", "core.hooksPath", str(folder))
        scene.base = scene.head()
        what = candidate(modify("a.py", "a = 1\n", "a = 2\n"))
        receipt = scene.changes.apply(OP, what, scene.land(what))
        try:
            await scene.changes.prepare(receipt, what, TEXT)
        except HookRefused as refused:
            if secret in refused.output:
                through.append(folder.name)
        scene.changes.rollback(receipt)
    return through
