"""Workspaces on real repositories."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from ledger.errors import GitFailed, PolicyRefused, RepositoryError, StaleBase
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tests.tools.sandbox.boxes import deep
from tools.git import Git
from tools.workspace import Workspace, Workspaces, WorkspaceSettings

FILES = {"a.txt": "one\n", "pkg/b.py": "B = 1\n", "pkg/deep/c.txt": "c\n", ".gitignore": "*.log\nbuild/\n"}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = make_repo(tmp_path / "repo", FILES)
    (repo / "outside").symlink_to("/etc")
    (repo / "pkg/run.sh").write_text("#!/bin/sh\n")
    (repo / "pkg/run.sh").chmod(0o755)
    commit(repo, "links and modes")
    return repo


@pytest.fixture
def workspaces(tmp_path: Path, repo: Path) -> Workspaces:
    places = make_places(tmp_path / "ours", repo)
    settings = WorkspaceSettings(memory_folder=str(tmp_path))
    return Workspaces(Git(places, host_env()), places, settings)


@pytest.fixture
async def ws(workspaces: Workspaces, repo: Path) -> Workspace:
    return await workspaces.acquire("op-1-manual", git(repo, "rev-parse", "HEAD"))


def listing(root: Path) -> dict[str, str]:
    found = {}
    for base, _, names in os.walk(root):
        for name in names:
            path = Path(base, name)
            kind = "link" if path.is_symlink() else oct(path.stat().st_mode & 0o111)
            found[str(path.relative_to(root))] = kind
    return found


EXPECTED = {
    ".gitignore": "0o0", "a.txt": "0o0", "pkg/b.py": "0o0", "pkg/deep/c.txt": "0o0", "pkg/run.sh": "0o111",
}  # fmt: skip


def edit(path: str, before: str | None, after: str | None, **more: object) -> Edit:
    kind = EditKind.CREATE if before is None else EditKind.DELETE if after is None else EditKind.MODIFY
    values = {
        "path": path,
        "kind": kind,
        "before": None if before is None else sha256_hex(before),
        "after": None if after is None else after.encode(),
        **more,
    }
    return Edit.model_validate(values)


async def test_acquire_is_the_commit_private_and_unknown_to_git(ws: Workspace, repo: Path, tmp_path: Path) -> None:
    assert {k: v for k, v in listing(ws.root).items() if v != "link"} == EXPECTED
    assert (ws.root / "outside").is_symlink() and os.readlink(ws.root / "outside") == "/etc"
    assert stat.S_IMODE(ws.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(ws.folder.parent.stat().st_mode) == 0o700
    assert ws.folder.name.startswith("op-1-manual@") and ws.folder.is_relative_to(tmp_path)
    assert len(git(repo, "worktree", "list").splitlines()) == 1
    assert git(repo, "status", "--porcelain") == ""


async def test_release_removes_it_also_when_a_test_made_it_unreadable(workspaces: Workspaces, ws: Workspace) -> None:
    (ws.root / "pkg").chmod(0)
    await workspaces.release(ws)
    assert not ws.folder.exists()
    await workspaces.release(ws)


async def test_folders_deeper_than_any_path_are_no_hindrance(workspaces: Workspaces, ws: Workspace) -> None:
    for _ in range(2):
        deep(ws.root / "pkg", 3000)
        await ws.reset()
        assert sorted(os.listdir(ws.root / "pkg")) == ["b.py", "deep", "run.sh"]
    deep(ws.root, 3000)
    await workspaces.release(ws)
    assert not ws.root.exists()


async def test_reset_brings_back_exactly_the_commit(ws: Workspace) -> None:
    before = listing(ws.root)
    (ws.root / "a.txt").write_text("two\n")
    (ws.root / "pkg/b.py").unlink()
    (ws.root / "pkg/run.sh").chmod(0o000)
    (ws.root / "pkg/deep/c.txt").unlink()
    (ws.root / "pkg/deep").rmdir()
    (ws.root / "pkg/deep").symlink_to("/tmp")
    (ws.root / "outside").unlink()
    (ws.root / "outside").mkdir()
    (ws.root / "build").mkdir()
    (ws.root / "build/x.log").write_text("ignored")
    make_repo(ws.root / "nested")
    (ws.root / ".git").mkdir()
    (ws.root / "closed/in").mkdir(parents=True)
    (ws.root / "closed").chmod(0)
    await ws.reset()
    assert listing(ws.root) == before
    assert (ws.root / "a.txt").read_text() == "one\n"
    assert (ws.root / "pkg/deep/c.txt").read_text() == "c\n"
    assert sorted(os.listdir(ws.root)) == [".gitignore", "a.txt", "outside", "pkg"]


async def test_reset_sees_a_change_of_equal_size_with_the_old_time(ws: Workspace) -> None:
    path = ws.root / "a.txt"
    times = path.stat()
    path.write_text("eno\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    await ws.reset()
    assert path.read_text() == "one\n"


async def test_apply_creates_modifies_deletes_and_renames(ws: Workspace) -> None:
    await ws.apply(
        [
            edit("a.txt", "one\n", "two\n"),
            edit("new/dir/x.py", None, "X = 1\n", mode=0o755),
            edit("pkg/deep/c.txt", "c\n", None),
            edit("pkg/moved.py", "B = 1\n", "B = 2\n", kind=EditKind.RENAME, renamed_from="pkg/b.py"),
        ]
    )
    assert (ws.root / "a.txt").read_text() == "two\n"
    assert (ws.root / "new/dir/x.py").stat().st_mode & 0o111
    assert not (ws.root / "pkg/deep/c.txt").exists()
    assert not (ws.root / "pkg/b.py").exists() and (ws.root / "pkg/moved.py").read_text() == "B = 2\n"


async def test_sizes_are_of_what_stands_there_now_and_git_does_not_ignore(ws: Workspace) -> None:
    await ws.apply([edit("a.txt", "one\n", None), edit("new.txt", None, "new\n"), edit("x.log", None, "log\n")])
    git(ws.root, "init", "-q", "other")
    (ws.root / "other/file.txt").write_text("theirs\n")
    sizes = {path: (ws.root / path).stat().st_size for path in (*EXPECTED, "new.txt") if path != "a.txt"}
    assert await asyncio.to_thread(ws.sizes) == sizes


async def test_apply_refuses_all_when_one_file_is_not_the_one_that_was_read(ws: Workspace) -> None:
    with pytest.raises(StaleBase) as caught:
        await ws.apply([edit("a.txt", "one\n", "two\n"), edit("pkg/b.py", "old", "x"), edit("pkg/run.sh", None, "x")])
    assert caught.value.paths == ("pkg/b.py", "pkg/run.sh")
    assert (ws.root / "a.txt").read_text() == "one\n"


@pytest.mark.parametrize("path", ["../x", "/etc/x", "pkg/../../x", "", "pkg//b.py", ".git/config", "pkg/.GIT/x"])
async def test_paths_outside_are_refused(ws: Workspace, path: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        await ws.apply([edit(path, None, "x")])
    assert caught.value.rule == "workspace.contained"
    with pytest.raises(PolicyRefused):
        ws.read(path)


async def test_links_are_never_followed(ws: Workspace) -> None:
    for path in ("outside", "outside/passwd"):
        with pytest.raises(PolicyRefused) as caught:
            ws.read(path)
        assert caught.value.rule == "workspace.no_follow"
        with pytest.raises(PolicyRefused):
            await ws.apply([edit(path + "x" if "/" in path else path, "x", "y")])


async def test_read(ws: Workspace) -> None:
    assert ws.read("pkg/b.py") == b"B = 1\n"
    assert ws.read("pkg") is None
    assert ws.read("pkg/none.py") is None
    assert ws.read("a.txt/below") is None
    os.mkfifo(ws.root / "pipe")
    assert ws.read("pipe") is None


async def test_diff_and_tree_tell_what_stands_there(ws: Workspace, repo: Path) -> None:
    assert await ws.diff() == b""
    assert await ws.tree() == git(repo, "rev-parse", "HEAD^{tree}")
    await ws.apply([edit("a.txt", "one\n", "two\n"), edit("new.py", None, "N = 1\n")])
    (ws.root / "noise.log").write_text("ignored")
    (ws.root / "pkg/deep/c.txt").unlink()
    diff = (await ws.diff()).decode()
    assert "-one\n+two\n" in diff and "+N = 1" in diff and "deleted file" in diff and "noise" not in diff
    tree = await ws.tree()
    assert git(repo, "ls-tree", "-r", "--name-only", tree).split() == [
        ".gitignore", "a.txt", "new.py", "outside", "pkg/b.py", "pkg/run.sh",
    ]  # fmt: skip
    assert git(repo, "status", "--porcelain") == ""
    await ws.reset()
    assert await ws.diff() == b""


async def test_what_differs_is_named_and_can_be_shown_alone(ws: Workspace, repo: Path) -> None:
    assert await ws.changed() == ()
    commit(repo, "the owner goes on", {"a.txt": "later\n", "later.txt": "x\n"})
    assert await ws.changed() == ()
    await ws.apply([edit("a.txt", "one\n", "two\n"), edit("new dir/ü.py", None, "N = 1\n")])
    (ws.root / "noise.log").write_text("ignored")
    (ws.root / "pkg/deep/c.txt").unlink()
    (ws.root / "pkg/b.py").write_text("B = 2\n")  # as long as it was
    git(ws.root, "init", "-q", "nested")
    assert await ws.changed() == ("a.txt", "new dir/ü.py", "pkg/b.py", "pkg/deep/c.txt")
    alone = (await ws.diff(["pkg/b.py", "new dir/ü.py"])).decode()
    assert "+B = 2" in alone and "+N = 1" in alone and "two" not in alone and "c.txt" not in alone
    await ws.reset()
    assert await ws.changed() == ()


async def test_overlay_makes_it_the_checkout_as_it_stands(ws: Workspace, repo: Path) -> None:
    write(repo, {"a.txt": "dirty\n", "untracked.txt": "u\n", "noise.log": "no\n", "staged.py": "S\n"})
    git(repo, "add", "staged.py")
    (repo / "pkg/deep/c.txt").unlink()
    (repo / "pkg/deep").rmdir()
    (repo / "pkg/deep").write_text("now a file\n")
    (repo / "outside").unlink()
    (repo / "outside").symlink_to("/usr")
    (repo / "pkg/b.py").unlink()
    write(repo, {"pkg/b.py/inner.txt": "now a folder\n"})
    (ws.root / "left.txt").write_text("from a run before")
    index = (repo / ".git/index").read_bytes()
    differing = await ws.overlay_checkout()
    assert differing == (
        "a.txt", "outside", "pkg/b.py", "pkg/b.py/inner.txt", "pkg/deep", "pkg/deep/c.txt", "staged.py",
        "untracked.txt",
    )  # fmt: skip
    assert (ws.root / "a.txt").read_text() == "dirty\n"
    assert os.readlink(ws.root / "outside") == "/usr"
    assert (ws.root / "pkg/deep").read_text() == "now a file\n"
    assert (ws.root / "pkg/b.py/inner.txt").read_text() == "now a folder\n"
    assert not (ws.root / "left.txt").exists() and not (ws.root / "noise.log").exists()
    assert (repo / ".git/index").read_bytes() == index


async def test_overlay_leaves_large_files_as_the_commit_has_them(repo: Path, tmp_path: Path) -> None:
    settings = WorkspaceSettings(memory_folder=str(tmp_path), overlay_file_mb=1)
    workspaces = Workspaces(
        Git(make_places(tmp_path / "ours", repo), host_env()), make_places(tmp_path, repo), settings
    )
    ws = await workspaces.acquire("verify", git(repo, "rev-parse", "HEAD"))
    large = 2**20 + 1
    for name in ("a.txt", "staged.bin", "untracked.bin"):
        (repo / name).write_bytes(bytes(large))
    git(repo, "add", "staged.bin")
    (repo / "pkg/b.py").write_bytes(bytes(large - 1))
    assert await ws.overlay_checkout() == ("pkg/b.py",)
    assert (ws.root / "a.txt").read_text() == "one\n" and (ws.root / "pkg/b.py").stat().st_size == large - 1
    assert not (ws.root / "staged.bin").exists() and not (ws.root / "untracked.bin").exists()


async def test_overlay_of_a_clean_checkout_on_another_commit(workspaces: Workspaces, repo: Path) -> None:
    first = git(repo, "rev-parse", "HEAD~1")
    ws = await workspaces.acquire("verify", first)
    assert await ws.overlay_checkout() == ("outside", "pkg/run.sh")
    (repo / "a.txt").write_text("one\n")  # touched, not changed
    assert "a.txt" not in await ws.overlay_checkout()


async def test_filters_of_the_owners_run_but_hooks_do_not(repo: Path, tmp_path: Path) -> None:
    places = make_places(tmp_path / "ours", repo)
    settings = WorkspaceSettings(memory_folder="")
    workspaces = Workspaces(Git(places, host_env(HOME=str(places.home))), places, settings)
    write(repo, {".gitattributes": "*.up filter=up\n*.crlf text eol=crlf\n", "x.up": "shout\n", "y.crlf": "a\nb\n"})
    for key, program in (("smudge", "tr a-z A-Z"), ("clean", "tr A-Z a-z")):
        git(repo, "config", "--file", str(places.home / ".gitconfig"), f"filter.up.{key}", program)
    ran = tmp_path / "ran"
    for hook in ("post-checkout", "post-index-change"):
        (repo / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (repo / ".git/hooks" / hook).chmod(0o755)
    head = commit(repo, "filters")
    ran.unlink(missing_ok=True)
    ws = await workspaces.acquire("op", head)
    assert (ws.root / "x.up").read_text() == "SHOUT\n"
    assert (ws.root / "y.crlf").read_bytes() == b"a\r\nb\r\n"
    assert await ws.tree() == git(repo, "rev-parse", "HEAD^{tree}")
    assert not ran.exists()


async def test_submodules_are_left_out(workspaces: Workspaces, repo: Path, tmp_path: Path) -> None:
    other = make_repo(tmp_path / "other")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub")
    ws = await workspaces.acquire("op", commit(repo, "submodule"))
    assert not (ws.root / "sub/README.md").exists()
    await ws.reset()
    assert await ws.diff() == b""


async def test_an_unknown_commit_leaves_nothing(workspaces: Workspaces, tmp_path: Path) -> None:
    with pytest.raises(GitFailed):
        await workspaces.acquire("op", "0" * 40)
    assert not list(tmp_path.glob("ouroboros-*/*"))
    with pytest.raises(RepositoryError, match="cannot name a workspace"):
        await workspaces.acquire("../evil", "HEAD")


async def test_reap_removes_leftovers_of_dead_owners_only(workspaces: Workspaces, repo: Path) -> None:
    dead, live = await workspaces.acquire("op-dead", "HEAD"), await workspaces.acquire("op-live", "HEAD")
    foreign = dead.folder.parent / "somebody-else"
    foreign.mkdir(mode=0o700)
    assert await workspaces.reap({"op-live"}) == ("op-dead",)
    assert not dead.folder.exists() and live.root.exists() and foreign.exists()


async def test_an_empty_folder_is_not_left_in_memory(tmp_path: Path, repo: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    settings = WorkspaceSettings(memory_folder=str(memory), memory_share_bp=10_000)
    places = make_places(tmp_path / "more", repo)
    workspaces = Workspaces(Git(places, host_env()), places, settings)
    first, second = await workspaces.acquire("op-a", "HEAD"), await workspaces.acquire("op-b", "HEAD")
    assert first.folder.is_relative_to(memory)
    await workspaces.release(first)
    await workspaces.close()
    assert second.root.exists()  # what lies in it stays
    assert await workspaces.reap(()) == ("op-b",)
    assert list(memory.iterdir()) == []
    await workspaces.release(await workspaces.acquire("op-c", "HEAD"))
    await workspaces.close()
    await workspaces.close()
    assert list(memory.iterdir()) == []


async def test_it_lies_on_disk_when_memory_is_too_small_or_not_ours(tmp_path: Path, repo: Path) -> None:
    places = make_places(tmp_path / "ours", repo)
    small = Workspaces(Git(places, host_env()), places, WorkspaceSettings(memory_share_bp=0))
    ws = await small.acquire("op", "HEAD")
    assert ws.root.is_relative_to(places.cache)
    open_for_all = tmp_path / f"ouroboros-{os.getuid()}-{places.repo_id}"
    open_for_all.mkdir()
    open_for_all.chmod(0o777)
    taken = Workspaces(Git(places, host_env()), places, WorkspaceSettings(memory_folder=str(tmp_path)))
    ws = await taken.acquire("op", "HEAD")
    assert ws.root.is_relative_to(places.cache)
    assert await taken.reap(()) == ("op",)


async def test_methods_at_the_same_time_take_turns(ws: Workspace, repo: Path) -> None:
    results = await asyncio.gather(*(f() for f in (ws.tree, ws.reset, ws.diff, ws.tree, ws.reset)))
    assert results[0] == results[3] == git(repo, "rev-parse", "HEAD^{tree}")


async def test_content_that_the_repository_lacks_is_told(workspaces: Workspaces, repo: Path) -> None:
    blob = git(repo, "rev-parse", "HEAD:pkg/b.py")
    (repo / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(GitFailed, match="damaged or gone"):
        await workspaces.acquire("op-2-manual", git(repo, "rev-parse", "HEAD"))


async def test_a_call_that_was_ended_leaves_no_lock(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (ws.root / ".gitignore").unlink()
    os.mkfifo(ws.root / ".gitignore")
    monkeypatch.setattr(ws._git, "_timeout_s", 0.5)
    with pytest.raises(GitFailed, match="did not end"):
        await ws.changed()
    monkeypatch.setattr(ws._git, "_timeout_s", 60)
    assert not (ws.folder / "index.lock").exists()
    await ws.reset()
    assert listing(ws.root).keys() >= EXPECTED.keys()
    (ws.folder / "index.lock").touch()  # the trap itself works
    (ws.root / "a.txt").unlink()
    with pytest.raises(GitFailed):
        await ws.reset()


async def test_a_huge_file_is_not_read(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.workspace.LARGEST_BYTES", 3)
    assert ws.read("pkg/deep/c.txt") == b"c\n"
    with pytest.raises(PolicyRefused, match="has 4 bytes, more than the 3"):
        ws.read("a.txt")
