from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from governance.changes.changes import Changes
from governance.changes.effects import Effects
from governance.changes.hooks import NoHooks
from governance.changes.settings import ChangeSettings
from ledger.errors import ApplyConflict, ChangeError, RepositoryBusy
from tests.governance.changes.scene import (
    FILES,
    LEDGER,
    MIXED,
    OP,
    TEXT,
    Scene,
    candidate,
    create,
    delete,
    make_changes,
    make_scene,
    modify,
    on_disk,
    rename,
)
from tests.repos import commit, git, host_env, write
from tools.git import Git

ONE = candidate(modify("a.py", FILES["a.py"], "a = 2\n"))
REVIEW = f"refs/heads/ouro/review/{OP}"


def index_of(scene: Scene, *paths: str) -> str:
    return git(scene.repo, "ls-files", "-s", "--", *paths)


async def test_commit_on_the_branch(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    done = await scene.run(MIXED)
    assert (done.mode, done.ref, done.note) == ("branch", "refs/heads/main", "")
    assert scene.head() == done.commit and scene.status() == ""
    assert git(scene.repo, "rev-parse", "HEAD^") == scene.base
    assert scene.show("HEAD", "new/deep/d.py") == "d = 1"
    assert git(scene.repo, "show", "-s", "--format=%an <%ae>|%cn|%s", "HEAD") == (
        "Ouroboros <ouroboros@box>|Ouroboros|fix: make a right"
    )
    assert "ouroboros: fix: make a right" in git(scene.repo, "reflog", "-1")
    assert git(scene.repo, "show", "-s", "--format=%(trailers:key=Ouro-Ledger,valueonly)", "HEAD") == (
        f"7 sha256:{LEDGER['ledger_hash']}"
    )
    git(scene.repo, "fsck", "--strict")
    scene.no_leftovers()


async def test_everything_else_of_the_owner_is_untouched(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    write(scene.repo, {"other.txt": "staged\n", "added.txt": "new and staged\n", "pkg/b.py": "b = staged\n"})
    git(scene.repo, "add", "other.txt", "added.txt", "pkg/b.py")
    git(scene.repo, "rm", "-q", "--cached", "pkg/c.py")
    write(scene.repo, {"other.txt": "staged, then dirty\n", "notes.txt": "dirty\r\n", "free.txt": "untracked\n"})
    staged, disk = git(scene.repo, "diff", "--cached", "--raw"), on_disk(scene.repo)
    done = await scene.run(ONE)
    assert done.mode == "branch"
    assert git(scene.repo, "diff", "--cached", "--raw") == staged
    assert on_disk(scene.repo) == {**disk, "a.py": b"a = 2\n"}
    assert git(scene.repo, "diff", "--name-only").split() == ["notes.txt", "other.txt"]
    assert git(scene.repo, "show", "--name-only", "--format=", "HEAD") == "a.py"


async def test_own_file_dirty_goes_to_a_review_branch(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    write(scene.repo, {"a.py": "owner\n"})
    before = (on_disk(scene.repo), (scene.places.git_dir / "index").read_bytes(), scene.head())
    done = await scene.run(ONE)
    assert (done.mode, done.ref) == ("review", REVIEW)
    assert "a.py" in done.note
    assert (on_disk(scene.repo), (scene.places.git_dir / "index").read_bytes(), scene.head()) == before
    assert scene.show(REVIEW, "a.py") == "a = 2"
    assert scene.changes.verify(done.commit).ok
    again = await scene.run(ONE)
    assert again.ref == f"{REVIEW}-2"
    scene.no_leftovers()


async def test_review_works_with_a_detached_head_and_a_snapshot(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    git(scene.repo, "checkout", "-q", "--detach")
    done = await scene.run(MIXED)
    assert done.mode == "review" and git(scene.repo, "rev-parse", f"{done.commit}^") == scene.base


async def test_branch_that_moved_on_is_reparented(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    git(scene.repo, "add", "-N", ".")  # whatever the owner does with other files
    git(scene.repo, "reset", "-q")
    write(scene.repo, {"other.txt": "owner 1\n"})
    git(scene.repo, "commit", "-qm", "one", "other.txt")
    prepared = await scene.changes.prepare(receipt, MIXED, TEXT)
    assert prepared.parent == scene.head()
    write(scene.repo, {"other.txt": "owner 2\n"})
    git(scene.repo, "commit", "-qm", "two", "other.txt")
    tip = scene.head()
    done = scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    assert done.mode == "branch" and git(scene.repo, "rev-parse", "HEAD^") == tip
    assert scene.show("HEAD", "other.txt") == "owner 2" and scene.show("HEAD", "a.py") == "a = 2"
    assert scene.status() == ""
    scene.no_leftovers()


class OwnerCommits(Effects):
    """The owner commits another file just before each of our first ``times`` swaps of the ref."""

    times = 2
    done = 0

    def step(self, effect: str, target: str) -> None:
        if effect == "move_ref" and target == "refs/heads/main" and self.done < self.times:
            self.done += 1
            write(self.git.places.repo, {"other.txt": f"owner {self.done}\n"})
            git(self.git.places.repo, "commit", "-qm", f"owner {self.done}", "other.txt")


class OwnerNeverStops(OwnerCommits):
    times = 99


async def test_lost_races_are_run_again_and_then_given_up(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "1", effects=OwnerCommits)
    done = await scene.run(MIXED)
    assert done.mode == "branch" and scene.show("HEAD", "other.txt") == "owner 2" and scene.status() == ""
    scene = make_scene(tmp_path / "2", effects=OwnerNeverStops)
    done = await scene.run(MIXED)
    assert done.mode == "review" and "kept moving" in done.note
    assert scene.status() == "" and (scene.repo / "a.py").read_text() == "a = 1\n"
    assert git(scene.repo, "rev-list", "--count", "main") == "5"
    scene.no_leftovers()


async def test_a_lock_that_was_left_behind_is_named(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    write(scene.repo, {".git/refs/heads/main.lock": ""})
    done = await scene.run(MIXED)
    assert done.mode == "review" and "main.lock" in done.note and "moving" not in done.note
    assert scene.status() == "" and scene.head() == scene.base


async def test_owner_switches_branches_meanwhile(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, ONE, scene.land(ONE))
    prepared = await scene.changes.prepare(receipt, ONE, TEXT)
    git(scene.repo, "checkout", "-q", "-b", "elsewhere")
    done = scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    assert done.mode == "review" and "another branch" in done.note
    assert git(scene.repo, "rev-parse", "main") == scene.base and scene.status() == ""


async def test_owner_commits_our_files_meanwhile(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, ONE, scene.land(ONE))
    git(scene.repo, "commit", "-qam", "the owner takes it")
    prepared = await scene.changes.prepare(receipt, ONE, TEXT)
    assert prepared.ref == REVIEW
    done = scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    assert done.mode == "review" and done.kept == ("a.py",) and scene.status() == ""


async def test_busy_repository_refuses_before_any_effect(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, ONE, scene.land(ONE))
    prepared = await scene.changes.prepare(receipt, ONE, TEXT)
    (scene.places.git_dir / "MERGE_HEAD").write_text(scene.base)
    with pytest.raises(RepositoryBusy):
        scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    assert scene.head() == scene.base
    assert scene.changes.rollback(receipt).restored == ("a.py",)


async def test_held_index_lock_is_waited_for_and_then_told(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, settings=ChangeSettings(index_retries_s=(0.01, 0.02)))
    lock = scene.places.git_dir / "index.lock"
    receipt = scene.changes.apply(OP, ONE, scene.land(ONE))
    prepared = await scene.changes.prepare(receipt, ONE, TEXT)
    lock.write_text("")
    done = scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    assert done.mode == "branch" and "a.py" in done.note and "index" in done.note
    assert lock.exists()
    lock.unlink()
    git(scene.repo, "reset", "-q", "--", "a.py")
    assert scene.status() == ""


class LockedForAMoment(Effects):
    """Another git holds the index until we have asked twice."""

    asked = 0

    def step(self, effect: str, target: str) -> None:
        lock = self.git.places.git_dir / "index.lock"
        if effect == "move_ref":
            lock.write_text("")
        if effect == "update_owner_index":
            self.asked += 1
            if self.asked == 3:
                lock.unlink()


async def test_index_lock_that_goes_away(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, effects=LockedForAMoment)
    done = await scene.run(MIXED)
    assert done.note == "" and scene.status() == ""


async def test_what_the_owner_staged_of_our_file_stays(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    prepared = await scene.changes.prepare(receipt, MIXED, TEXT)
    write(scene.repo, {"a.py": "owner\n"})
    git(scene.repo, "add", "a.py")
    entry = index_of(scene, "a.py")
    done = scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    assert "a.py" in done.note and index_of(scene, "a.py") == entry
    assert scene.status() == "M  a.py"


async def test_attributes_and_modes_as_git_would_have_them(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, files={".gitattributes": "*.txt text eol=crlf\n", "sub/x": "x", "t.txt": "t\n"})
    commit(scene.repo, "sub", {"sub/.gitattributes": "*.dat -text\n", "run.sh": "#!/bin/sh\n"})
    (scene.repo / "run.sh").chmod(0o755)
    git(scene.repo, "commit", "-qam", "x")
    git(scene.repo, "config", "core.autocrlf", "input")
    (scene.repo / "t.txt").write_bytes(b"t\r\n")
    git(scene.repo, "add", "t.txt")
    scene.base = scene.head()
    what = candidate(
        modify("t.txt", b"t\r\n", b"t\r\nu\r\n"),
        create("sub/raw.dat", b"\xff\r\n"),
        create("bin/new", b"#!/bin/sh\n", mode=0o755),
        rename("run.sh", "go.sh", "#!/bin/sh\n", "#!/bin/sh\n:\n"),
    )
    done = await scene.run(what)
    assert done.mode == "branch"

    def blob(path: str) -> bytes:
        argv = ["git", "cat-file", "blob", f"HEAD:{path}"]
        return subprocess.run(argv, cwd=scene.repo, capture_output=True, check=True).stdout

    assert blob("t.txt") == b"t\nu\n" and blob("sub/raw.dat") == b"\xff\r\n"
    assert git(scene.repo, "ls-tree", "HEAD", "go.sh", "bin/new").count("100755") == 2
    assert scene.status() == ""


async def test_odd_names_reach_the_commit(tmp_path: Path) -> None:
    names = ("with space", "new\nline", "ünï/çödé", "-dash", "*.py", ":(top)x", 'quo"te')
    scene = make_scene(tmp_path, files=dict.fromkeys(names, "x\n"))
    done = await scene.run(candidate(*(modify(n, "x\n", "y\n") for n in names)))
    assert done.mode == "branch" and scene.status() == ""
    assert git(scene.repo, "show", "--name-only", "--format=", "-z", "HEAD").count("\0") == len(names)


async def test_link_in_the_tree_is_refused(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    os.symlink("pkg", scene.repo / "link")
    scene.base = commit(scene.repo, "link")
    for edit in (create("link/new.py", "x"), modify("link", "pkg", "other"), delete("nope.py", "x")):
        what = candidate(edit)
        receipt = scene.changes.apply(OP, what, scene.land(what))
        assert receipt.landing.mode == "review"
        with pytest.raises(ApplyConflict):
            await scene.changes.prepare(receipt, what, TEXT)
        scene.changes.rollback(receipt)
    scene.no_leftovers()


async def test_nothing_to_commit_and_dry_run(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    same = candidate(modify("a.py", "a = 1\n", "a = 1\n"))
    receipt = scene.changes.apply(OP, same, scene.land(same))
    with pytest.raises(ChangeError, match="nothing to commit"):
        await scene.changes.prepare(receipt, same, TEXT)
    scene.changes.rollback(receipt)
    dry = scene.changes.apply(OP, ONE, scene.land(ONE).model_copy(update={"mode": "dry-run"}))
    with pytest.raises(ChangeError, match="dry run"):
        await scene.changes.prepare(dry, ONE, TEXT)
    scene.no_leftovers()


async def test_a_review_name_that_cannot_be_made(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    git(scene.repo, "branch", "ouro")
    git(scene.repo, "checkout", "-q", "--detach")
    receipt = scene.changes.apply(OP, ONE, scene.land(ONE))
    prepared = await scene.changes.prepare(receipt, ONE, TEXT)
    with pytest.raises(ApplyConflict, match=r"review branch .* git says: .*'refs/heads/ouro' exists"):
        scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    scene.changes.rollback(receipt)
    scene.no_leftovers()


async def test_verify_and_its_refusals(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    done = await scene.run(ONE)
    check = scene.changes.verify(done.commit)
    assert check.ok and check.signed and check.trailers["Ouro-Op"] == OP
    assert scene.changes.verify(scene.base).problems[0] == "the signature: there is none"
    assert not scene.changes.verify("f" * 40).ok
    raw = git(scene.repo, "cat-file", "commit", done.commit) + "\n"
    forged = raw.replace("SAFE_AUTO", "APPROVED!")
    sha = git(scene.repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=forged)
    check = scene.changes.verify(sha)
    assert not check.ok and not check.signed and "does not fit" in check.problems[0]
    shutil.rmtree(scene.places.keys)
    _, other = make_changes(scene.places)
    assert "another key" in other.verify(done.commit).problems[0]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
async def test_gits_own_verification_passes(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    done = await scene.run(ONE)
    allowed = f"gpg.ssh.allowedSignersFile={scene.changes.identity.allowed_signers}"
    git(scene.repo, "-c", allowed, "verify-commit", done.commit)
    assert git(scene.repo, "-c", allowed, "log", "-1", "--format=%G?") == "G"
    raw = git(scene.repo, "cat-file", "commit", done.commit).replace("make a right", "make a wrong")
    sha = git(scene.repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw + "\n")
    with pytest.raises(AssertionError):
        git(scene.repo, "-c", allowed, "verify-commit", sha)


async def test_linked_worktree(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    git(scene.repo, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    places = type(scene.places)(
        repo=tmp_path / "linked", git_dir=scene.places.git_dir / "worktrees/linked",
        common_dir=scene.places.common_dir, repo_id="x", state=scene.places.state, cache=scene.places.cache,
        config=scene.places.config, runtime=scene.places.runtime, home=scene.places.home,
    )  # fmt: skip
    tool, changes = make_changes(places)
    linked = Scene(repo=places.repo, places=places, git=tool, changes=changes, base=scene.base)
    done = await linked.run(MIXED)
    assert done.ref == "refs/heads/side" and linked.status() == "" and scene.status() == ""


async def test_two_ops_at_once(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    whats = (ONE, candidate(modify("pkg/b.py", "b = 1\n", "b = 2\n")), candidate(modify("notes.txt", "n\n", "m\n")))

    async def one(what: object) -> str:
        receipt = await asyncio.to_thread(scene.changes.apply, OP, what, scene.land(what))  # type: ignore[arg-type]
        prepared = await scene.changes.prepare(receipt, what, TEXT)  # type: ignore[arg-type]
        done = await asyncio.to_thread(scene.changes.commit, receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
        return done.mode

    assert await asyncio.gather(*(one(w) for w in whats)) == ["branch"] * 3
    assert git(scene.repo, "rev-list", "--count", "HEAD") == "4" and scene.status() == ""


async def test_a_file_with_a_filter_in_use_is_not_committed_and_its_filter_not_run(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    ran = tmp_path / "ran"
    scene.base = commit(scene.repo, "attributes", {".gitattributes": "*.txt filter=seal\n"})
    git(scene.repo, "config", "--file", str(scene.places.home / ".gitconfig"), "filter.seal.clean", f"touch {ran}; rev")
    own = Git(scene.places, host_env(HOME=str(scene.places.home)))
    effects, hooks = Effects(own), NoHooks(own)
    scene.changes = Changes(
        git=own, places=scene.places, settings=ChangeSettings(email="o@box"), effects=effects, hooks=hooks
    )
    sealed = candidate(modify("notes.txt", "n\n", "m\n"))
    receipt = scene.changes.apply(OP, sealed, scene.land(sealed))
    ran.unlink(missing_ok=True)  # git looked at the owner's checkout
    with pytest.raises(ApplyConflict, match=r"notes.txt \(seal\)"):
        await scene.changes.prepare(receipt, sealed, TEXT)
    assert not ran.exists()
    scene.changes.rollback(receipt)
    assert (scene.repo / "notes.txt").read_text() == "n\n"
    plain = candidate(modify("a.py", FILES["a.py"], "a = 2\n"))
    assert (await scene.run(plain)).mode == "branch"
