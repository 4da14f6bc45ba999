"""Questions about a real repository; nothing of the owner's may change."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from ledger.errors import GitFailed, RepositoryBusy, RepositoryError
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tools.git import Git
from tools.repository import DirtyPath, Repository


def repository_of(tmp_path: Path, repo: Path) -> Repository:
    return Repository(Git(make_places(tmp_path / "ours", repo), host_env()))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repo(tmp_path / "repo", {"a.txt": "one\n", "pkg/b.py": "B = 1\n", ".gitignore": "*.log\n"})


async def test_head_on_a_branch_detached_and_unborn(tmp_path: Path, repo: Path) -> None:
    repository = repository_of(tmp_path, repo)
    first = git(repo, "rev-parse", "HEAD")
    state = await repository.head()
    assert (state.commit, state.branch, state.ref) == (first, "main", "refs/heads/main")
    git(repo, "checkout", "-q", "--detach")
    state = await repository.head()
    assert (state.commit, state.branch, state.ref) == (first, None, None)
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q", "-b", "main")
    state = await repository_of(tmp_path / "e", empty).head()
    assert (state.commit, state.branch) == (None, "main")


async def test_a_tag_of_the_name_head_hides_no_branch(tmp_path: Path, repo: Path) -> None:
    git(repo, "update-ref", "refs/tags/HEAD", "HEAD")
    state = await repository_of(tmp_path, repo).head()
    assert (state.commit, state.branch) == (git(repo, "rev-parse", "@"), "main")
    git(repo, "checkout", "-q", "--detach")
    state = await repository_of(tmp_path, repo).head()
    assert (state.commit, state.branch, state.ref) == (git(repo, "rev-parse", "@"), None, None)


async def test_check_passes_on_a_quiet_repository(tmp_path: Path, repo: Path) -> None:
    write(repo, {"a.txt": "dirty\n", "new.txt": "x\n"})
    await repository_of(tmp_path, repo).check()


def _conflict(repo: Path) -> None:
    git(repo, "checkout", "-q", "-b", "other")
    commit(repo, "other", {"a.txt": "other\n"})
    git(repo, "checkout", "-q", "main")
    commit(repo, "mine", {"a.txt": "mine\n"})


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("merge", "other"), "A merge is under way"),
        (("rebase", "other"), "A rebase is under way"),
        (("cherry-pick", "other"), "A cherry-pick is under way"),
        (("bisect", "start"), "A bisect is under way"),
    ],
)
async def test_check_names_what_is_half_done(
    tmp_path: Path, repo: Path, command: tuple[str, ...], sentence: str
) -> None:
    _conflict(repo)
    repository = repository_of(tmp_path, repo)
    with contextlib.suppress(AssertionError):
        git(repo, *command)
    with pytest.raises(RepositoryBusy, match=sentence) as caught:
        await repository.check()
    assert "git " in caught.value.remedy


async def test_check_names_a_revert_and_a_leftover_conflict(tmp_path: Path, repo: Path) -> None:
    commit(repo, "second", {"a.txt": "two\n"})
    commit(repo, "third", {"a.txt": "three\n"})
    repository = repository_of(tmp_path, repo)
    with pytest.raises(AssertionError):
        git(repo, "revert", "--no-edit", "HEAD~1")
    with pytest.raises(RepositoryBusy, match="A revert is under way"):
        await repository.check()
    (repo / ".git/REVERT_HEAD").unlink()
    with pytest.raises(RepositoryBusy, match=r"a\.txt has an unresolved conflict"):
        await repository.check()


async def test_check_refuses_bare_empty_and_no_repository(tmp_path: Path, repo: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    with pytest.raises(RepositoryError, match="has no commit yet"):
        await repository_of(tmp_path / "1", empty).check()
    git(repo, "config", "core.bare", "true")
    with pytest.raises(RepositoryError, match="bare repository"):
        await repository_of(tmp_path / "2", repo).check()
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(RepositoryError, match="is not a git repository"):
        await repository_of(tmp_path / "3", plain).check()


async def test_references_that_cannot_be_read_are_not_taken_for_no_commit(tmp_path: Path, repo: Path) -> None:
    git(repo, "pack-refs", "--all")
    (repo / ".git/packed-refs").write_text("nonsense\n")
    with pytest.raises(GitFailed, match="packed-refs"):
        await repository_of(tmp_path, repo).check()


async def test_parent_files_read_and_changed_between(tmp_path: Path, repo: Path) -> None:
    (repo / "link").symlink_to("/etc/passwd")
    first = git(repo, "rev-parse", "HEAD")
    second = commit(repo, "second", {"pkg/b.py": "B = 2\n", "pkg/ü [x].txt": "odd\n"})
    repository = repository_of(tmp_path, repo)
    assert await repository.parent(second) == first
    assert await repository.parent(first) is None
    assert set(await repository.files(second)) == {".gitignore", "a.txt", "link", "pkg/b.py", "pkg/ü [x].txt"}
    assert await repository.read(first, "pkg/b.py") == b"B = 1\n"
    assert await repository.read(second, "pkg/ü [x].txt") == b"odd\n"
    assert await repository.read(second, "gone") is None
    assert await repository.read(second, "pkg") is None
    assert await repository.read(second, "link") is None
    assert set(await repository.changed_between(first, second)) == {"link", "pkg/b.py", "pkg/ü [x].txt"}
    with pytest.raises(GitFailed):
        await repository.parent("0" * 40)
    many = await repository.read_many(second, ["a.txt", "gone", "pkg", "pkg/ü [x].txt", "odd\nname"])
    assert many == {"a.txt": b"one\n", "pkg/ü [x].txt": b"odd\n"}
    assert await repository.has_branch("main") and not await repository.has_branch("other")


async def test_sizes_are_of_regular_files(tmp_path: Path, repo: Path) -> None:
    (repo / "link").symlink_to("a.txt")
    head = commit(repo, "more", {"a.txt": "one and two\n"})
    sizes = await repository_of(tmp_path, repo).sizes(head)
    assert sizes == {".gitignore": 6, "a.txt": 12, "pkg/b.py": 6}


async def test_dirty_tells_staged_unstaged_and_untracked_apart(tmp_path: Path, repo: Path) -> None:
    write(repo, {"a.txt": "staged\n", "new/file.txt": "n\n", "noise.log": "ignored\n"})
    git(repo, "add", "a.txt")
    write(repo, {"a.txt": "staged and more\n", "pkg/b.py": "B = 3\n"})
    repository = repository_of(tmp_path, repo)
    found = {d.path: d for d in await repository.dirty()}
    assert found == {
        "a.txt": DirtyPath(path="a.txt", staged=True, unstaged=True, untracked=False),
        "pkg/b.py": DirtyPath(path="pkg/b.py", staged=False, unstaged=True, untracked=False),
        "new/file.txt": DirtyPath(path="new/file.txt", staged=False, unstaged=False, untracked=True),
    }
    assert [d.path for d in await repository.dirty(["pkg/b.py", "nothing"])] == ["pkg/b.py"]


async def test_trailers(tmp_path: Path, repo: Path) -> None:
    git(repo, "commit", "-q", "--allow-empty", "-m", "subject\n\nbody: no trailer\n\nOuro-Op: 1\nA: x\nA: y")
    assert await repository_of(tmp_path, repo).trailers("HEAD") == {"Ouro-Op": "1", "A": "x\ny"}


async def test_snapshot_of_a_clean_checkout_is_head(tmp_path: Path, repo: Path) -> None:
    assert await repository_of(tmp_path, repo).snapshot() == git(repo, "rev-parse", "HEAD")


async def test_snapshot_holds_what_is_on_disk_and_touches_nothing(tmp_path: Path, repo: Path) -> None:
    write(repo, {"staged.txt": "s\n"})
    git(repo, "add", "staged.txt")
    write(repo, {"staged.txt": "later\n", "new.txt": "n\n", "noise.log": "no\n"})
    (repo / "pkg/b.py").unlink()
    nested = make_repo(repo / "nested")
    index, refs = (repo / ".git/index").read_bytes(), git(repo, "for-each-ref")
    repository = repository_of(tmp_path, repo)
    made = await repository.snapshot()
    assert set(await repository.files(made)) == {".gitignore", "a.txt", "new.txt", "staged.txt"}
    assert await repository.read(made, "staged.txt") == b"later\n"
    assert await repository.parent(made) == git(repo, "rev-parse", "HEAD")
    assert await repository.snapshot() == made
    assert (repo / ".git/index").read_bytes() == index
    assert git(repo, "for-each-ref") == refs
    assert nested.exists() and os.listdir(tmp_path / "ours/run") == []


async def test_snapshot_leaves_huge_untracked_files_out(tmp_path: Path, repo: Path) -> None:
    write(repo, {"big.bin": "x" * 2_000, "small.txt": "s\n"})
    git_ = Git(make_places(tmp_path / "ours", repo), host_env())
    repository = Repository(git_, untracked_limit_bytes=1_000)
    files = await repository.files(await repository.snapshot())
    assert "small.txt" in files and "big.bin" not in files


async def test_a_file_that_unpacks_to_more_than_is_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make_repo(tmp_path / "repo", {"small": "x", "large": "x" * 1_001, "other": "y" * 900})
    repository, head = repository_of(tmp_path, repo), git(repo, "rev-parse", "HEAD")
    monkeypatch.setattr("tools.repository.LARGEST_BYTES", 1_000)
    assert set(await repository.read_many(head, ["small", "large", "other"])) == {"small", "other"}
    with pytest.raises(RepositoryError, match="large has 1001 bytes"):
        await repository.read(head, "large")
    monkeypatch.setattr("tools.repository.MOST_BYTES", 900)
    assert set(await repository.read_many(head, ["small", "large", "other"])) == {"small"}


async def test_damaged_objects_are_told_in_a_sentence(tmp_path: Path, repo: Path) -> None:
    found = repository_of(tmp_path, repo)
    head = (await found.head()).commit
    assert head is not None
    paths = await found.files(head)
    blob = git(repo, "rev-parse", f"HEAD:{paths[0]}").strip()
    tree, objects = git(repo, "rev-parse", "HEAD^{tree}").strip(), repo / ".git" / "objects"
    assert paths[0] in await found.read_many(head, paths)

    def spoil(name: str) -> None:
        file = objects / name[:2] / name[2:]
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:12] + b"rest")

    spoil(blob)
    with pytest.raises(RepositoryError) as refused:
        await found.read_many(head, paths)
    assert "git fsck" in refused.value.remedy
    (objects / blob[:2] / blob[2:]).write_bytes(b"")
    with pytest.raises(RepositoryError) as refused:
        await found.read(head, paths[0])
    assert "git fsck" in refused.value.remedy
    spoil(tree)
    with pytest.raises(RepositoryError) as refused:
        await found.files(head)
    assert "git fsck" in refused.value.remedy
    spoil(head)
    with pytest.raises(RepositoryError, match="damaged or gone"):
        await found.check()
