from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from governance.changes import arena
from governance.changes.hooks import Hook, HookRunner, NoHooks, OwnerHooks, SandboxedHooks, find_hook, make_hooks
from governance.changes.settings import ChangeSettings
from ledger.errors import HookRefused, SandboxError
from tests.governance.changes.scene import FILES, MIXED, OP, TEXT, Scene, candidate, make_scene, modify, on_disk
from tests.repos import commit, git, host_env, write
from tools.git import Git
from tools.process import Command, Finished, run
from tools.sandbox.choice import choose
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Sandbox, Wall

ONE = candidate(modify("a.py", FILES["a.py"], "a = 2\n"))


class Open:
    """A back end without walls that sees files where they are: what Landlock looks like to a job."""

    name = "open"
    walls: frozenset[Wall] = frozenset()
    missing = frozenset(Wall)
    maps_paths = False

    async def run(self, job: Job) -> Finished:
        env = {**host_env().variables, **job.env}
        return await run(Command(argv=job.argv, cwd=job.cwd, env=env, timeout_s=job.timeout_s, stdin=job.stdin))


def put_hook(scene: Scene, name: str, script: str, folder: str = ".git/hooks", mode: int = 0o755) -> Path:
    path = scene.repo / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return path


def with_hooks(scene: Scene, runner: HookRunner) -> Scene:
    scene.changes._hooks = runner
    return scene


def sandboxed(scene: Scene, sandbox: Sandbox | None = None, timeout_s: float = 20) -> Scene:
    settings = ChangeSettings(hook_timeout_s=timeout_s)
    return with_hooks(scene, SandboxedHooks(git=scene.git, settings=settings, sandbox=sandbox or Open()))


def owners(scene: Scene, **more: str) -> Scene:
    return with_hooks(scene, OwnerHooks(git=scene.git, settings=ChangeSettings(), env=host_env(**more)))


async def refusal(scene: Scene) -> HookRefused:
    """The change is refused, and taken back to the byte."""
    before = on_disk(scene.repo)
    receipt = scene.changes.apply(OP, ONE, scene.land(ONE))
    with pytest.raises(HookRefused) as caught:
        await scene.changes.prepare(receipt, ONE, TEXT)
    scene.changes.rollback(receipt)
    assert on_disk(scene.repo) == before and scene.status() == ""
    scene.no_leftovers()
    return caught.value


def test_hooks_are_found_as_the_owner_configured_them(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    assert find_hook(scene.git, "pre-commit") is None
    assert Hook(put_hook(scene, "pre-commit", "")) == find_hook(scene.git, "pre-commit")
    put_hook(scene, "commit-msg", "", mode=0o644)
    assert find_hook(scene.git, "commit-msg") is None  # not executable: git does not run it either
    git(scene.repo, "config", "core.hooksPath", "tools/hooks")
    assert find_hook(scene.git, "pre-commit") is None
    assert Hook(put_hook(scene, "pre-commit", "", folder="tools/hooks"), "local") == find_hook(scene.git, "pre-commit")
    git(scene.repo, "config", "core.hooksPath", str(tmp_path / "elsewhere"))
    assert find_hook(scene.git, "pre-commit") is None


async def test_without_hooks_nothing_runs(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    runner = SandboxedHooks(git=scene.git, settings=ChangeSettings(), sandbox=Open())
    result = await runner.run("pre-commit", index=tmp_path / "none", message=None)
    assert result.ok and not result.ran
    assert (await with_hooks(scene, runner).run(MIXED)).mode == "branch"


async def test_a_hook_sees_what_is_committed_and_nothing_else(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    write(scene.repo, {"other.txt": "dirty\n", "free.txt": "untracked\n"})
    put_hook(
        scene,
        "pre-commit",
        'set -e; test "$(cat a.py)" = "a = 2"; test "$(cat other.txt)" = other; test ! -e free.txt\n'
        "test ! -e pkg/c.py\n"
        'names="$(git diff --cached --name-only | tr "\\n" " ")"; mkdir .cache_of_hook\n'
        'test "$names" = "a.py new/deep/d.py pkg/b.py pkg/c.py "',
    )
    put_hook(scene, "commit-msg", 'grep -q "^fix: make a right$" "$1" && grep -q "^Ouro-Op: " "$1"')
    done = await sandboxed(scene).run(MIXED)
    assert done.mode == "branch"
    git(scene.repo, "commit", "-q", "--allow-empty", "--no-verify", "-m", "x")
    again = candidate(modify("pkg/b.py", "b = 2\n", "b = 3\n"))
    put_hook(scene, "pre-commit", 'test "$(git diff --cached --name-only)" = pkg/b.py')
    scene.base = scene.head()
    assert (await owners(scene).run(again)).mode == "branch"


@pytest.mark.parametrize("where", [sandboxed, owners])
async def test_refusals(tmp_path: Path, where: object) -> None:
    assert callable(where)
    scene = where(make_scene(tmp_path))
    put_hook(scene, "pre-commit", "echo style is bad; exit 3")
    error = await refusal(scene)
    assert error.hook == "pre-commit" and "style is bad" in error.output
    put_hook(scene, "pre-commit", "exit 0")
    put_hook(scene, "commit-msg", "echo no ticket >&2; exit 1")
    error = await refusal(scene)
    assert error.hook == "commit-msg" and "no ticket" in error.output


@pytest.mark.parametrize("where", [sandboxed, owners])
@pytest.mark.parametrize(
    ("hook", "script", "shown"),
    [
        ("pre-commit", "echo 'a = 2  # tidied' > a.py", "+a = 2  # tidied"),
        ("pre-commit", "echo 'a = 3' > a.py; git add a.py", "a = 3"),
        ("pre-commit", "git update-index --force-remove other.txt", "-other"),
        ("pre-commit", "rm other.txt", "-other"),
        ("pre-commit", 'echo garbage > "$GIT_INDEX_FILE"', "index"),
        ("commit-msg", 'echo "Change-Id: 1" >> "$1"', "+Change-Id: 1"),
        ("commit-msg", 'rm "$1"', "message was changed"),
        ("commit-msg", 'rm "$1"; ln -s /etc/passwd "$1"', "message was changed"),
        ("commit-msg", 'rm "$1"; mkfifo "$1"', "message was changed"),
        ("pre-commit", 'rm "$GIT_INDEX_FILE"; ln -s "$GIT_DIR/index" "$GIT_INDEX_FILE"', "it is no plain file"),
        ("pre-commit", 'rm "$GIT_INDEX_FILE"; mkfifo "$GIT_INDEX_FILE"', "it is no plain file"),
        ("pre-commit", 'rm "$GIT_INDEX_FILE"; mkdir "$GIT_INDEX_FILE"', "it is no plain file"),
        ("commit-msg", 'rm "$1"; mkdir "$1"', "message was changed"),
        ("pre-commit", "git update-index --skip-worktree --add --cacheinfo 100644,$(git hash-object a.py),x", "x"),
        ("pre-commit", 'truncate -s 900M "$GIT_INDEX_FILE"', "far larger than it was"),
        ("pre-commit", "rm other.txt; mkfifo other.txt", "-other"),
        ("pre-commit", "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),sub", "index was changed"),
    ],
)
async def test_an_edit_by_a_hook_is_refused_and_shown(
    tmp_path: Path, where: object, hook: str, script: str, shown: str
) -> None:
    assert callable(where)
    scene = where(make_scene(tmp_path))
    put_hook(scene, hook, script)
    error = await refusal(scene)
    assert "changed what was to be committed" in error.output and shown in error.output


async def test_a_hook_leaves_a_pipe_where_git_reads_attributes(tmp_path: Path) -> None:
    scene = sandboxed(make_scene(tmp_path))
    put_hook(scene, "pre-commit", "mkfifo pkg/.gitattributes; touch pkg/b.py")
    assert (await scene.run(ONE)).mode == "branch"


async def test_a_hook_fills_nothing_of_the_owners_with_its_index(tmp_path: Path) -> None:
    """Whoever may write an index could else have a tree made of each folder that it names, in the repository itself."""
    scene = sandboxed(make_scene(tmp_path))
    names = 'i=0; while [ $i -lt 300 ]; do printf "100644 %s\\td$i/$i\\n" $blob; i=$((i+1)); done'
    fill = f"blob=$(git rev-parse HEAD:a.py); ({names}) | git update-index --add --index-info"
    put_hook(scene, "pre-commit", fill)
    assert "+a = 1" in (await refusal(scene)).output
    assert _objects(scene) < 100
    put_hook(scene, "pre-commit", f"{fill}; git write-tree")
    await refusal(scene)
    assert _objects(scene) > 300, "the trap itself works"


def _objects(scene: Scene) -> int:
    return sum(file.is_file() for file in (scene.places.common_dir / "objects").rglob("*"))


async def test_what_a_hook_left_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user may not take a pipe out of a folder that he may not write to."""
    scene = sandboxed(make_scene(tmp_path))
    put_hook(scene, "pre-commit", "mkdir d; mkfifo d/p; chmod 500 d")

    def remove(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(arena, "remove_special", remove)
    assert "left files that cannot be compared" in (await refusal(scene)).output


async def test_a_hook_makes_its_files_unreadable(tmp_path: Path) -> None:
    """As root they can be read all the same."""
    scene = sandboxed(make_scene(tmp_path))
    put_hook(scene, "pre-commit", "rm a.py; mkdir a.py; chmod 0 a.py")
    assert "pre-commit" in (await refusal(scene)).output


async def test_a_hook_that_no_mount_can_show_is_a_refusal(tmp_path: Path) -> None:
    class Narrow(Open):
        async def run(self, job: Job) -> Finished:
            raise SandboxError("A mount would show too much.", remedy="Move the folder.")

    scene = sandboxed(make_scene(tmp_path), Narrow())
    put_hook(scene, "pre-commit", "exit 0")
    assert "would show too much" in (await refusal(scene)).output


async def test_a_folder_that_may_not_be_shown_is_a_refusal_and_the_owner_may_name_his_own(tmp_path: Path) -> None:
    scene = sandboxed(make_scene(tmp_path))
    folder = scene.places.home / ".githooks"
    folder.mkdir()
    put_hook(scene, "pre-commit", "exit 0", folder=str(folder))
    git(scene.repo, "config", "core.hooksPath", str(folder))
    output = (await refusal(scene)).output
    assert str(folder) in output and "the repository's own settings" in output and 'changes.hooks = "owner"' in output
    git(scene.repo, "config", "--unset", "core.hooksPath")
    git(scene.repo, "config", "--file", str(scene.places.home / ".gitconfig"), "core.hooksPath", str(folder))
    own = Git(scene.places, host_env(HOME=str(scene.places.home)))
    found = find_hook(own, "pre-commit")
    assert found == Hook(folder / "pre-commit", "global") and found.named_by_owner
    runner = SandboxedHooks(git=own, settings=ChangeSettings(), sandbox=Open())
    assert (await with_hooks(scene, runner).run(ONE)).mode == "branch"


def test_a_hooks_folder_is_where_its_path_really_leads(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    put_hook(scene, "pre-commit", "exit 0", folder="tools/hooks")
    (tmp_path / "link").symlink_to(scene.repo / "tools/hooks")
    for path in ("pkg/../tools/hooks", "../repo/tools/hooks", str(tmp_path / "link")):
        git(scene.repo, "config", "core.hooksPath", path)
        assert find_hook(scene.git, "pre-commit") == Hook(scene.repo / "tools/hooks/pre-commit", "local"), path


async def test_a_hook_that_hangs(tmp_path: Path) -> None:
    scene = sandboxed(make_scene(tmp_path), timeout_s=0.3)
    put_hook(scene, "pre-commit", "sleep 60")
    assert "did not end in time" in (await refusal(scene)).output


async def test_no_sandbox_is_a_refusal_only_where_there_is_a_hook(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    runner = make_hooks(git=scene.git, settings=ChangeSettings(), sandbox=None, env=host_env())
    assert isinstance(runner, NoHooks)
    put_hook(scene, "pre-commit", "exit 0")
    assert "no sandbox" in (await refusal(with_hooks(scene, runner))).output


async def test_owner_mode_runs_with_his_environment_but_not_a_hook_that_is_part_of_the_change(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    put_hook(scene, "pre-commit", 'test "$MINE" = yes', folder="hooks")
    scene.base = commit(scene.repo, "hooks")
    git(scene.repo, "config", "core.hooksPath", "hooks")
    runner = make_hooks(git=scene.git, settings=ChangeSettings(hooks="owner"), sandbox=None, env=host_env(MINE="yes"))
    done = await with_hooks(scene, runner).run(ONE)
    assert done.mode == "branch"
    old = (scene.repo / "hooks/pre-commit").read_text()
    evil = candidate(modify("hooks/pre-commit", old, "#!/bin/sh\ntouch /tmp/owned\n"))
    scene.base = scene.head()
    scene.changes.settings.model_copy()
    receipt = scene.changes.apply(
        OP, evil, scene.land(evil).model_copy(update={"mode": "review", "ref": "refs/heads/r"})
    )
    with pytest.raises(HookRefused) as caught:
        await scene.changes.prepare(receipt, evil, TEXT)
    assert "edits pre-commit itself" in caught.value.output
    scene.changes.rollback(receipt)
    receipt = scene.changes.apply(OP, evil, scene.land(evil))
    with pytest.raises(HookRefused):
        await scene.changes.prepare(receipt, evil, TEXT)
    scene.changes.rollback(receipt)


async def test_in_the_real_sandbox(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    choice = await choose(SandboxSettings(), scene.places, host_env())
    if choice.sandbox is None:
        pytest.skip(f"no sandbox here: {choice.tried}")
    outside = tmp_path / "outside"
    put_hook(
        scene,
        "pre-commit",
        f'set -e; test "$(cat a.py)" = "a = 2"; git diff --cached --name-only | grep -q "^a.py$"\n'
        f"touch {outside} || true\n"
        f"(echo x > {scene.places.git_dir}/config) 2>/dev/null && exit 8\n"
        f"(cat {scene.places.keys}/signing_ed25519) 2>/dev/null && exit 7\n"
        "exit 0",
    )
    put_hook(scene, "commit-msg", 'grep -q "^Ouro-Op: " "$1"')
    config = (scene.places.git_dir / "config").read_bytes()
    done = await sandboxed(scene, choice.sandbox).run(ONE)
    assert done.mode == "branch" and not outside.exists()
    assert (scene.places.git_dir / "config").read_bytes() == config
    assert stat.S_IMODE(scene.changes.identity.key.stat().st_mode) == 0o600
    put_hook(scene, "pre-commit", "echo 'x' >> notes.txt")
    scene.base = scene.head()
    what = candidate(modify("pkg/b.py", "b = 1\n", "b = 2\n"))
    receipt = scene.changes.apply(OP, what, scene.land(what))
    with pytest.raises(HookRefused) as caught:
        await scene.changes.prepare(receipt, what, TEXT)
    assert "notes.txt" in caught.value.output
    scene.changes.rollback(receipt)
    assert scene.status() == ""
