"""Kills a change before its n-th effect, for every n, recovers, and checks what is left. Run as a program.

``kill_rounds.py FOLDER SCENARIO``: prints one JSON object {"rounds": n, "outcomes": {...}, "faults": [...]}.
Each round forks a child of this small, thread-free process; the child is ended by SIGKILL at its n-th effect.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import cryptography.hazmat.primitives.asymmetric.ed25519
import cryptography.hazmat.primitives.serialization  # noqa: F401 - imported once here, not once a child

from governance.changes.effects import Effects, rename2
from ledger.vocabulary import Candidate
from tests.governance.changes.scene import (
    LEDGER,
    MIXED,
    OP,
    TEXT,
    Scene,
    candidate,
    create,
    make_changes,
    make_scene,
    modify,
    on_disk,
    rename,
)
from tests.governance.changes.test_apply import no_rename2
from tests.repos import git, write
from tools.git import Git

ROUNDS = 400
TWO = candidate(modify("a.py", "a = 1\n", "a = 2\n"), create("n.py", "n\n"))
MOVED = candidate(rename("pkg/b.py", "far/away/b.py", "b = 1\n", "b = 2\n"), modify("a.py", "a = 1\n", "a = 2\n"))
SCENARIOS = ("commit", "rename", "plain", "rollback", "review", "diverted", "undo", "recover")


class Killer(Effects):
    """Ends its own process before effect ``at``."""

    at = 0
    count = 0
    path = ""

    def step(self, effect: str, target: str) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.path and effect == "move_ref" and target == "refs/heads/main":
            repo = self.git.places.repo
            newer = git(repo, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "owner")
            git(repo, "update-ref", "refs/heads/main", newer)


def killer(at: int, *, plain: bool, busy_owner: bool) -> type[Effects]:
    class Chosen(Killer):
        def __init__(self, tool: Git) -> None:
            super().__init__(tool, rename2=no_rename2 if plain else rename2)
            self.at = at
            self.path = "owner" if busy_owner else ""

    return Chosen


def what_of(scenario: str) -> Candidate:
    return {"rename": MOVED, "diverted": TWO, "recover": TWO}.get(scenario, MIXED)


async def play(scene: Scene, scenario: str) -> None:
    what = what_of(scenario)
    if scenario == "undo":
        await scene.changes.undo(OP, scene.head(), **LEDGER)  # type: ignore[arg-type]
        return
    if scenario == "recover":
        scene.changes.recover()
        return
    receipt = scene.changes.apply(OP, what, scene.land(what))
    if scenario == "rollback":
        scene.changes.rollback(receipt)
        return
    prepared = await scene.changes.prepare(receipt, what, TEXT)
    scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]


def build(folder: Path, scenario: str) -> Scene:
    """The state that every round starts from: other files dirty, staged and untracked."""
    scene = make_scene(folder)
    _ = scene.changes.identity
    if scenario == "undo":
        asyncio.run(scene.run(MIXED))
    if scenario == "recover":
        scene.changes.apply(OP, TWO, scene.land(TWO))
    write(scene.repo, {"other.txt": "staged\n"})
    git(scene.repo, "add", "other.txt")
    write(scene.repo, {"notes.txt": "dirty\n", "free.txt": "untracked\n"})
    if scenario == "review":
        write(scene.repo, {"a.py": "owner\n"})
    return scene


def child(scene: Scene, scenario: str, at: int) -> bool:
    """One child; True when it came to its end before effect ``at``."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            effects = killer(at, plain=scenario == "plain", busy_owner=scenario == "diverted")
            _, scene.changes = make_changes(scene.places, effects=effects)
            asyncio.run(play(scene, scenario))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise SystemExit(f"{scenario}: the child of round {at} failed by itself")
    return True


def faults_after(scene: Scene, old: dict[str, bytes], new: dict[str, bytes], old_head: str) -> list[str]:
    """What is wrong after recovery; ``old`` and ``new`` are the whole trees, of which one must stand there."""
    found = []
    disk, head = on_disk(scene.repo), git(scene.repo, "rev-parse", "HEAD")
    if disk not in (old, new):
        found.append(f"the tree is neither old nor new: {sorted(disk)}")
    ours = git(scene.repo, "log", "--author=Ouroboros", "--format=%H", f"{old_head}..HEAD")
    if bool(ours) != (disk == new != old):
        found.append("the branch does not say what the tree says")
    if ours and head != ours:
        found.append("there is more than one commit")
    if git(scene.repo, "show", ":other.txt") != "staged":
        found.append("the owner's staging is lost")
    left = [p for p in disk if ".ouro-" in p] + [str(p) for p in scene.places.journal.iterdir()]
    left += [str(p) for p in scene.places.git_dir.rglob("*.lock")]
    if left:
        found.append(f"left behind: {left}")
    git(scene.repo, "fsck", "--connectivity-only")
    return found


def trees(disk: dict[str, bytes], scenario: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The whole old and the whole new tree, from what stands there when a round begins."""
    if scenario == "recover":  # begins with a change that is applied, but not committed
        old = {**disk, "a.py": b"a = 1\n"}
        del old["n.py"]
        return old, old
    if scenario in ("review", "diverted", "rollback"):
        return disk, disk
    if scenario == "undo":
        new = {**disk, "a.py": b"a = 1\n", "pkg/b.py": b"b = 1\n", "pkg/c.py": b"c = 1\n"}
        del new["new/deep/d.py"]
        return disk, new
    new = {**disk, "a.py": b"a = 2\n"}
    if scenario == "rename":
        del new["pkg/b.py"]
        return disk, {**new, "far/away/b.py": b"b = 2\n"}
    del new["pkg/c.py"]
    return disk, {**new, "pkg/b.py": b"b = 2\n", "new/deep/d.py": b"d = 1\n"}


def main(base: Path, scenario: str) -> None:
    """All rounds of one scenario."""
    scene = build(base / "start", scenario)
    template = base / "template"
    os.rename(base / "start", template)
    outcomes: dict[str, int] = {}
    faults: list[str] = []
    status_before = ""
    for at in range(1, ROUNDS):
        shutil.copytree(template, base / "start", symlinks=True)
        old, new = trees(on_disk(scene.repo), scenario)
        head = git(scene.repo, "rev-parse", "HEAD")
        status_before = status_before or scene.status()
        finished = child(scene, scenario, at)
        _, changes = make_changes(scene.places)
        for recovered in changes.recover():
            outcomes[recovered.outcome] = outcomes.get(recovered.outcome, 0) + 1
        if changes.recover():
            faults.append(f"{at}: a second recovery found something")
        faults += [f"{at}: {fault}" for fault in faults_after(scene, old, new, head)]
        if scenario != "recover" and scene.status() != status_before:
            faults.append(f"{at}: index, tree and branch disagree: {scene.status()!r}, not {status_before!r}")
        shutil.rmtree(base / "start")
        if finished:
            break
    else:
        faults.append("no round came to its end")
    print(json.dumps({"rounds": at, "outcomes": outcomes, "faults": faults}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
