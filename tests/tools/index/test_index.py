"""The index beside a fresh one: after any sequence of edits, renames and deletions both say the same."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.repos import commit, git, host_env, make_places, make_repo, write
from tools.git import Git
from tools.index.checkout import CheckoutFeed
from tools.index.facts import IndexedFile
from tools.index.index import CodeIndex
from tools.index.parse import SourceText
from tools.index.store import FactStore
from tools.index.trees import key_of, list_sources, oid_of
from tools.index.view import View, Views
from tools.index.worker import facts_of
from tools.repository import Repository
from tools.workspace import Workspace, Workspaces, WorkspaceSettings

FILES = {
    "a.py": "import b\nb.f()\n",
    "b.py": "def f(): pass\n",
    "pkg/c.py": "from b import f\nf()\n",
    "web.js": "f()\n",
    "data.txt": "f()\n",
}
PATHS = ["a.py", "b.py", "pkg/c.py", "pkg/d.py", "new/deep/e.py", "web.js", "data.txt"]
CONTENTS = [
    b"",
    b"f()\n",
    b"def f():\n    g()\n",
    b"def f(:\n  g()\n",
    b"\xff\xfe f()\n",
    b"x = 1\0\n",
    b"import a\na.g(f())\n",
    b"f()\n" * 2_000,
]
LARGEST = 4_000


class Counting:
    """Parses here, in order, and counts what it was asked for."""

    def __init__(self) -> None:
        self.files = 0

    async def __call__(self, sources: Sequence[SourceText], *, background: bool = False) -> list[IndexedFile]:
        self.files += len(sources)
        return [facts_of(source.language, source.data) for source in sources]


@dataclass
class Land:
    """A repository and what belongs to it."""

    repo: Path
    git: Git
    workspaces: Workspaces
    repository: Repository


@pytest.fixture
def land(tmp_path: Path) -> Land:
    repo = make_repo(tmp_path / "repo", FILES)
    places = make_places(tmp_path, repo)
    tool = Git(places, host_env())
    return Land(repo, tool, Workspaces(tool, places, WorkspaceSettings(memory_folder="")), Repository(tool))


def new_index(parse: Counting | None = None, **more: object) -> CodeIndex:
    return CodeIndex(parse=parse or Counting(), largest_bytes=LARGEST, **more)  # type: ignore[arg-type]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(PATHS), st.sampled_from(CONTENTS)),
        st.tuples(st.just("delete"), st.sampled_from(PATHS)),
        st.tuples(st.just("rename"), st.sampled_from(PATHS), st.sampled_from(PATHS)),
        st.tuples(st.just("link"), st.sampled_from(PATHS), st.sampled_from(PATHS)),
        st.tuples(st.just("look")),
    ),
    min_size=1,
    max_size=8,
)


def act(root: Path, step: tuple[object, ...]) -> tuple[str, ...]:
    """Do one step on the disk; the paths that the watcher would tell of."""
    kind, *rest = step
    if kind == "look":
        return ()
    path = root / str(rest[0])
    if kind == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        path.write_bytes(bytes(rest[1]))  # type: ignore[call-overload]
    elif kind == "delete":
        path.unlink(missing_ok=True)
    elif os.path.lexists(path) and rest[0] != rest[1]:
        target = root / str(rest[1])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if kind == "rename":
            path.rename(target)
        else:
            target.symlink_to(path)
    return tuple(str(each) for each in rest if isinstance(each, str))


async def told(index: CodeIndex, view: View, git_tool: Git) -> dict[str, IndexedFile]:
    """All that an index says of a view."""
    await index.learn(view.own)
    await index.learn_blobs(git_tool, set(view.files.values()))
    facts = await index.facts(sorted(set(view.files.values())))
    return {path: facts[key] for path, key in view.files.items()}


def plainly(root: Path) -> Iterator[tuple[str, IndexedFile]]:
    """The same from the files themselves."""
    for path in PATHS:
        file = root / path
        key = key_of("", path)
        if key and file.is_file() and not file.is_symlink() and file.stat().st_size <= LARGEST:
            yield path, facts_of(key[1:], file.read_bytes())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_a_workspace_says_what_its_files_say_whatever_was_done_to_it(
    land: Land, steps: list[tuple[object, ...]]
) -> None:
    workspace = await land.workspaces.acquire("op", git(land.repo, "rev-parse", "HEAD"))
    try:
        index = new_index()
        views = Views(index=index)
        for step in [*steps, ("look",)]:
            act(workspace.root, step)
            if step[0] == "look":
                view = await views.of(workspace, land.git, written=(), visible=lambda path: True)
                assert await told(index, view, land.git) == dict(plainly(workspace.root))
                large = {p for p in PATHS if key_of("", p) and _is_large(workspace.root / p)}
                assert set(view.left_out) == large
    finally:
        await land.workspaces.release(workspace)


def _is_large(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size > LARGEST


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, data=st.data())
async def test_after_events_nothing_in_the_checkout_is_unknown(
    land: Land, steps: list[tuple[object, ...]], data: st.DataObject
) -> None:
    git(land.repo, "reset", "-q", "--hard")
    git(land.repo, "clean", "-fdq")
    index = new_index(limit=16)
    feed = CheckoutFeed(index=index, git=land.git, repository=land.repository)
    await feed.take_in()
    for step in steps:
        paths = act(land.repo, step)
        await feed.refresh(paths)
        if data.draw(st.booleans()):
            commit(land.repo, "step")
            await feed.take_in()
    said = dict(plainly(land.repo))
    keys = {path: str(key_of(oid_of((land.repo / path).read_bytes()), path)) for path in said}
    facts = await index.facts(list(keys.values()))
    assert {path: facts[key] for path, key in keys.items()} == said
    commit(land.repo, "the end")
    await feed.take_in()
    assert await index.missing(set(list_sources(land.git, "HEAD").values())) == set()


@pytest.fixture
async def workspace(land: Land) -> AsyncIterator[Workspace]:
    workspace = await land.workspaces.acquire("op", git(land.repo, "rev-parse", "HEAD"))
    yield workspace
    await land.workspaces.release(workspace)


async def test_nothing_is_parsed_twice_over_commits_ops_and_restarts(land: Land, tmp_path: Path) -> None:
    parse, file = Counting(), tmp_path / "facts.sqlite3"
    index = new_index(parse, store=FactStore(file))
    feed = CheckoutFeed(index=index, git=land.git, repository=land.repository)
    await feed.take_in()
    assert parse.files == 4
    await feed.take_in()
    write(land.repo, {"a.py": "b.g()\n"})
    await feed.refresh(["a.py", "data.txt", "gone.py"])
    assert parse.files == 5
    head = commit(land.repo, "a")
    git(land.repo, "mv", "b.py", "moved.py")
    commit(land.repo, "a rename has no new contents")
    await feed.take_in()
    await index.close()
    index = new_index(parse, store=FactStore(file))
    workspace = await land.workspaces.acquire("op", head)
    view = await Views(index=index).of(workspace, land.git, written=(), visible=lambda path: True)
    assert await index.missing(set(view.files.values())) == set()
    await land.workspaces.release(workspace)
    await index.close()
    assert parse.files == 5


async def test_a_question_opens_no_file_that_the_op_did_not_touch(land: Land, workspace: Workspace) -> None:
    (workspace.root / "b.py").write_text("def f(): other()\n")
    opened: list[str] = []

    class Watched(Workspace):
        """Notes what is read."""

        def read(self, path: str) -> bytes | None:
            opened.append(path)
            return super().read(path)

    workspace.__class__ = Watched
    index = new_index()
    view = await Views(index=index).of(workspace, land.git, written=(), visible=lambda path: True)
    assert opened == ["b.py"]
    assert (set(view.own), view.changed) == ({view.files["b.py"]}, {"b.py"})


async def test_what_is_not_visible_is_not_read(land: Land, workspace: Workspace) -> None:
    (workspace.root / "b.py").write_text("def hidden(): pass\n")
    index = new_index()
    view = await Views(index=index).of(workspace, land.git, written=(), visible=lambda path: path != "b.py")
    assert "b.py" not in view.files and view.own == {}


async def test_ignored_files_count_when_the_op_wrote_them(land: Land, workspace: Workspace) -> None:
    write(workspace.root, {".gitignore": "out/\n", "out/made.py": "f()\n", "out/other.py": "f()\n"})
    view = await Views(index=new_index()).of(workspace, land.git, written={"out/made.py"}, visible=lambda path: True)
    assert "out/made.py" in view.files and "out/other.py" not in view.files


async def test_with_a_word_only_the_files_are_parsed_in_which_it_stands(land: Land) -> None:
    parse = Counting()
    index = new_index(parse)
    keys = set(list_sources(land.git, "HEAD").values())
    await index.learn_blobs(land.git, keys, word="import")
    assert (parse.files, len(await index.missing(keys))) == (2, 2)
    await index.learn_blobs(land.git, keys)
    assert parse.files == 4


async def test_a_file_that_vanishes_while_the_checkout_is_read_is_left_out(land: Land) -> None:
    feed = CheckoutFeed(index=new_index(), git=land.git, repository=land.repository)
    os.mkfifo(land.repo / "pipe.py")
    (land.repo / "dir.py").mkdir()
    (land.repo / "link.py").symlink_to("/etc/passwd")
    (land.repo / "big.py").write_bytes(b"x = 1\n" * LARGEST)
    async with asyncio.timeout(20):
        await feed.refresh(["pipe.py", "dir.py", "link.py", "big.py", "never/there.py", "../outside.py", "a.py"])
        await feed.take_in()


async def test_a_repository_of_sha256_is_read_too(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main", "--object-format=sha256")
    commit(repo, "first", FILES)
    tool = Git(make_places(tmp_path, repo), host_env())
    parse = Counting()
    feed = CheckoutFeed(index=new_index(parse), git=tool, repository=Repository(tool))
    await feed.take_in()
    write(repo, {"b.py": FILES["a.py"]})
    await feed.refresh(["b.py"])
    assert parse.files == 4  # the contents of a.py are known by the name that git gives them


async def test_a_repository_without_a_commit_is_left_alone(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    tool = Git(make_places(tmp_path, repo), host_env())
    await CheckoutFeed(index=new_index(), git=tool, repository=Repository(tool)).take_in()


async def test_what_was_learnt_before_somebody_stopped_waiting_stays(land: Land) -> None:
    write(land.repo, {f"m{n}.py": f"def f{n}(): pass\n" for n in range(250)})
    head = commit(land.repo, "many")
    keys = set(list_sources(land.git, head).values())

    class Stopping(Counting):
        """Never comes back from its third portion."""

        stuck = asyncio.Event()

        async def __call__(self, sources: Sequence[SourceText], *, background: bool = False) -> list[IndexedFile]:
            if self.files >= 200:
                self.stuck.set()
                await asyncio.Event().wait()
            return await super().__call__(sources, background=background)

    parse = Stopping()
    index = new_index(parse)
    learning = asyncio.create_task(index.learn_blobs(land.git, keys))
    await parse.stuck.wait()
    learning.cancel()
    await asyncio.wait({learning})
    assert len(await index.missing(keys)) == len(keys) - 200


async def test_beyond_the_limit_the_oldest_is_forgotten_but_nothing_of_head(land: Land) -> None:
    index = new_index(limit=5)
    feed = CheckoutFeed(index=index, git=land.git, repository=land.repository)
    await feed.take_in()
    first = set(list_sources(land.git, "HEAD").values())
    texts = [f"x = {n}\n" for n in range(4)]
    for text in texts:
        write(land.repo, {"a.py": text})
        await feed.refresh(["a.py"])
    git(land.repo, "checkout", "-q", "--", "a.py")
    await feed.take_in()
    assert await index.missing(first) == set()
    keys = [f"{oid_of(text.encode())}.python" for text in texts]
    assert await index.missing(keys) == set(keys[:3])
