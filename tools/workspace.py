"""Isolated copies of a commit's files, where candidates are applied and tests run.

A workspace is a plain folder: git does not know it (no worktree is registered, there is no ``.git`` inside), so code
that runs there has nothing of git's to turn against us. What git needs lies beside it, out of the tests' reach::

    <base>/<owner>@<random>/index    private index of this copy
    <base>/<owner>@<random>/tree     the files; ``Workspace.root``

The base is on a memory file system where it fits and may hold programs, else in the cache folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from ledger.errors import GitFailed, RepositoryError, StaleBase
from ledger.ids import sha256_hex
from ledger.places import Places
from ledger.vocabulary import Edit, EditKind, Frozen
from tools import contained
from tools.git import Git, size_in_tree
from tools.private_index import PrivateIndex, scratch_index
from tools.untrusted_tree import join_names, list_programs

LARGEST_BYTES = 64 * 1024 * 1024
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
# Times of files that are as old as the index itself prove nothing: what git found by reading them is written down.
_REMEMBER = {"GIT_OPTIONAL_LOCKS": "1"}
_NAME = re.compile(rf"({_OWNER.pattern})@[0-9a-f]{{8}}")


class WorkspaceSettings(Frozen):
    """Where the isolated copies lie."""

    memory_folder: str = Field("/dev/shm", description="Memory file system for workspaces; empty: never use one.")
    memory_share_bp: int = Field(
        2_500,
        ge=0,
        le=10_000,
        description="A copy goes there when twice its size is below this share of the free space.",
    )
    overlay_file_mb: int = Field(
        64,
        ge=1,
        description="Changed or untracked files above this size are not copied when the checkout is examined as it "
        "stands: of tracked ones the copy keeps the commit's.",
    )


class Workspace:
    """One copy. Its methods may be called from any task; they take turns in their threads."""

    def __init__(self, *, git: Git, folder: Path, commit: str, owner: str, settings: WorkspaceSettings) -> None:
        self.folder = folder
        self.root = folder / "tree"
        self.commit = commit
        self.owner = owner
        self._git = git
        self._settings = settings
        self._programs = list_programs(git)
        self._index = PrivateIndex(git=git, root=self.root, index=folder / "index", programs=self._programs)
        self._listing = Listing()
        self._filtered: frozenset[str] = frozenset()
        self._turn = threading.Lock()

    async def reset(self, mounts: Collection[str] = ()) -> None:
        """Restore exactly the commit's files; only ``mounts`` (places of a sandbox) are left as they are."""
        await asyncio.to_thread(self._locked_reset, mounts)

    async def apply(self, edits: Sequence[Edit]) -> None:
        """Write the edits, all or (when one does not fit) none.

        Raises ``StaleBase`` when a file is not the one that was read, ``PolicyRefused`` for a path outside or through a
        link.
        """
        await asyncio.to_thread(self._apply, tuple(edits))

    async def overlay_checkout(self, mounts: Collection[str] = ()) -> tuple[str, ...]:
        """Make the copy equal to the owner's checkout on disk, except at ``mounts`` and for large files.

        Tracked files and untracked ones that are not ignored. Returns the paths that differ from the commit, sorted.
        """
        return await asyncio.to_thread(self._overlay_checkout, mounts)

    def read(self, path: str) -> bytes | None:
        """Bytes of a regular file, None where there is none. Raises ``PolicyRefused`` for a link or a path outside.

        Also for a file that is larger than ``LARGEST_BYTES``: a test can make one of a gigabyte at once.
        """
        return contained.read_file(self.root, path, most=LARGEST_BYTES)

    def sizes(self) -> dict[str, int]:
        """The bytes of each regular file but for what git ignores (blocking)."""
        paths = (path for path in self.tracked | self.untracked() if not path.endswith("/"))  # another repository
        found = {path: contained.size_of(self.root, path) for path in paths}
        return {path: size for path, size in sorted(found.items()) if size is not None}

    @property
    def tracked(self) -> frozenset[str]:
        """Files and links of the commit."""
        return frozenset(self._listing.paths)

    def untracked(self) -> frozenset[str]:
        """Files that the commit does not have and that git does not ignore, by the rules in the copy (blocking)."""
        with self._turn:
            return frozenset(self._index.untracked())

    def put_back(self, paths: Collection[str], *, keep: Collection[str], mounts: Collection[str] = ()) -> None:
        """The commit's files again at ``paths``; of everything else only ``keep`` and ``mounts`` stay (blocking)."""
        with self._turn:
            contained.prune(self.root, keep, mounts)
            self._index.checkout(paths)

    def start_over(self, mounts: Collection[str] = ()) -> None:
        """:meth:`reset`, whatever was left in the copy (blocking)."""
        with self._turn:
            try:
                self._reset(mounts)
            except OSError:
                contained.remove_tree(self.root)
                self.populate(self._listing)

    async def diff(self, paths: Collection[str] = ()) -> bytes:
        """Unified git diff of the copy (or of ``paths`` alone) against the commit, new files included."""
        return await asyncio.to_thread(self._diff, tuple(paths))

    async def changed(self) -> tuple[str, ...]:
        """Paths where the copy differs from its commit: changed, gone and new ones; not what git ignores. Sorted."""
        return await asyncio.to_thread(self._changed)

    async def tree(self) -> str:
        """Git tree object of the copy; its objects are written to the owner's object store."""
        return await asyncio.to_thread(self._tree)

    def populate(self, listing: Listing) -> None:
        """Fill the empty folder with the commit's files, which are in ``listing`` (blocking)."""
        self._listing = listing
        self.root.mkdir(mode=0o700, exist_ok=True)
        self._index.load(self.commit)
        self._index.forget(listing.submodules)
        self._index.checkout_all()
        self._filter()

    def _filter(self) -> None:
        """Apply the owner's filters to the files that have one.

        They run in an empty folder, before any code of the repository does. Afterwards the index has the filtered
        content, so that no later operation on the copy needs a filter.
        """
        self._filtered = frozenset(self._index.filtered(self._listing.paths))
        if not self._filtered:
            return
        empty, made = self.folder / "empty", self.folder / "filtered"
        for folder in (empty, made):
            contained.remove_tree(folder)
            folder.mkdir(mode=0o700)
        owners = PrivateIndex(git=self._git, root=empty, index=self._index.index)
        owners.run("checkout-index", "-f", "-q", "-z", "--stdin", f"--prefix={made}/", stdin=join_names(self._filtered))
        for path in self._filtered:
            data = contained.read_file(made, path)
            if data is not None:
                contained.write_file(self.root, path, data, (self.root / path).lstat().st_mode)
        contained.remove_tree(made)
        self._index.take(self._filtered)

    def _locked_reset(self, mounts: Collection[str]) -> None:
        with self._turn:
            self._reset(mounts)

    def _reset(self, mounts: Collection[str] = ()) -> None:
        contained.prune(self.root, self._listing.paths, mounts)
        try:
            self._index.checkout_all()
        except GitFailed:  # the copy is beyond repair: a fresh one needs nothing from it
            contained.remove_tree(self.root)
            self.populate(self._listing)

    def _apply(self, edits: tuple[Edit, ...]) -> None:
        with self._turn:
            stale = tuple(edit.path for edit in edits if not self._fits(edit))
            if stale:
                raise StaleBase(
                    f"{', '.join(stale)}: not the file that the edit was made for.",
                    paths=stale,
                    remedy="Read the file again and repeat the edit.",
                )
            for edit in edits:
                if edit.renamed_from is not None:
                    contained.delete_file(self.root, edit.renamed_from)
                if edit.after is None:
                    contained.delete_file(self.root, edit.path)
                else:
                    contained.write_file(self.root, edit.path, edit.after, edit.mode)

    def _fits(self, edit: Edit) -> bool:
        if edit.kind in (EditKind.CREATE, EditKind.RENAME) and contained.exists(self.root, edit.path):
            return False
        if edit.kind is EditKind.CREATE:
            return edit.before is None
        data = self.read(edit.renamed_from if edit.renamed_from is not None else edit.path)
        return data is not None and sha256_hex(data) == edit.before

    def _overlay_checkout(self, mounts: Collection[str]) -> tuple[str, ...]:
        checkout, git_dir = self._git.places.repo, self._git.places.git_dir
        with self._turn, scratch_index(self._git, checkout, start=git_dir / "index", folder=self.folder) as owners:
            if not owners.index.exists():
                owners.load("HEAD")
            owners.run("update-index", "-q", "--refresh", ok=(0, 1))
            changed = owners.run("diff-index", "-z", "--name-only", self.commit, "--").fields
            limit = self._settings.overlay_file_mb * 1024 * 1024
            paths = {*changed, *owners.untracked(limit_bytes=limit)}
            self._reset(mounts)
            paths = {path for path in paths if not _is_large(checkout / path, limit)}
            present = {path for path in paths if _is_content(checkout / path)}
            gone = {path for path in paths - present if contained.exists(self.root, path)}
            # A file may have taken the place of a folder, and vice versa: remove first.
            contained.prune(self.root, {*self._listing.paths} - gone | present, mounts)
            return tuple(sorted(gone | {path for path in present if _carry(checkout, self.root, path)}))

    def _changed(self) -> tuple[str, ...]:
        with self._turn:
            rows = self._index.run("status", "--porcelain=v1", "-z", "--untracked-files=all", env=_REMEMBER).fields
        # The first letter compares with the owner's HEAD, which is not our commit; a folder is another repository.
        return tuple(sorted(row[3:] for row in rows if row[1] != " " and not row.endswith("/")))

    def _diff(self, paths: tuple[str, ...]) -> bytes:
        with self._turn, self._scratch() as index:
            new = index.untracked()
            if new:
                index.run("add", "--intent-to-add", "--", *new)
            return index.run(
                "diff",
                "--binary",
                "--full-index",
                "--src-prefix=a/",
                "--dst-prefix=b/",
                "--",
                *paths,
            ).out

    def _tree(self) -> str:
        with self._turn, self._scratch() as index:
            same = self._filtered - {*index.changed()}
            index.take_all()
            index.graft(self.commit, {*same, *self._listing.submodules})
            return index.write_tree()

    def _scratch(self) -> AbstractContextManager[PrivateIndex]:
        start, folder = self._index.index, self.folder
        return scratch_index(self._git, self.root, start=start, folder=folder, programs=self._programs)


def _is_content(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _is_large(path: Path, limit_bytes: int) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > limit_bytes


def _carry(checkout: Path, root: Path, path: str) -> bool:
    """Copy one file or link from the checkout; False when the copy already was the same."""
    source, target = checkout / path, root / path
    if source.is_symlink():
        wanted = source.readlink()
        if target.is_symlink() and target.readlink() == wanted:
            return False
        contained.write_link(root, path, str(wanted))
        return True
    data = contained.read_file(checkout, path)
    if data is None:  # the owner removed it in this very moment
        return False
    mode = stat.S_IMODE(source.stat().st_mode)
    if target.is_symlink():
        contained.delete_file(root, path)
    elif contained.read_file(root, path) == data and (target.stat().st_mode ^ mode) & 0o100 == 0:
        return False
    contained.write_file(root, path, data, mode)
    return True


@dataclass(frozen=True, slots=True)
class Listing:
    """What a commit holds: its files and links, and their bytes together; places of submodules apart."""

    paths: tuple[str, ...] = ()
    size: int = 0
    submodules: tuple[str, ...] = ()


class Workspaces:
    """Makes and removes the copies of one repository."""

    def __init__(self, git: Git, places: Places, settings: WorkspaceSettings) -> None:
        self._git = git
        self._places = places
        self._settings = settings
        # An op makes half a dozen copies of one commit; HEAD is often another. With 50,000 files each more would cost
        # a daemon at rest 5 MB.
        self._list = lru_cache(maxsize=2)(self._list_commit)

    async def acquire(self, owner: str, commit: str) -> Workspace:
        """A fresh copy of ``commit``. ``owner`` (an op id, a sensor's name) is what :meth:`reap` knows it by."""
        return await asyncio.to_thread(self._acquire, owner, commit)

    async def release(self, ws: Workspace) -> None:
        """Remove the copy; a second time does nothing."""
        await asyncio.to_thread(contained.remove_tree, ws.folder)

    async def reap(self, live: Collection[str]) -> tuple[str, ...]:
        """Remove copies that a dead daemon of this repository left, except those of ``live`` owners.

        Returns the owners of what was removed, sorted. Nothing that is not ours is looked at.
        """
        return await asyncio.to_thread(self._reap, frozenset(live))

    async def close(self) -> None:
        """Remove the empty folder on the memory file system."""
        await asyncio.to_thread(self._remove_memory_base)

    def _acquire(self, owner: str, commit: str) -> Workspace:
        if not _OWNER.fullmatch(owner):
            raise RepositoryError(f"{owner!r} cannot name a workspace.", remedy="Use letters, digits, dots and dashes.")
        folder = self._base(commit) / f"{owner}@{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(contained.remove_tree, folder)
            ws = Workspace(git=self._git, folder=folder, commit=commit, owner=owner, settings=self._settings)
            ws.populate(self._list(commit))
            on_failure.pop_all()
        return ws

    def _reap(self, live: frozenset[str]) -> tuple[str, ...]:
        gone: set[str] = set()
        for base in (self._memory_base(), self._disk_base()):
            if base is None or not _is_ours(base):
                continue
            for folder in base.iterdir():
                name = _NAME.fullmatch(folder.name)
                if name and name[1] not in live and _is_ours(folder):
                    contained.remove_tree(folder)
                    gone.add(name[1])
        self._remove_memory_base()
        return tuple(sorted(gone))

    def _remove_memory_base(self) -> None:
        base = self._memory_base()
        if base is not None and _is_ours(base):
            with contextlib.suppress(OSError):  # something lies in it
                base.rmdir()

    def _base(self, commit: str) -> Path:
        memory = self._memory_base()
        if memory is not None and self._fits_in_memory(commit):
            memory.mkdir(mode=0o700, exist_ok=True)
            if _is_ours(memory):  # the parent is writable for all: another user may have created it
                return memory
        disk = self._disk_base()
        disk.mkdir(mode=0o700, parents=True, exist_ok=True)
        return disk

    def _memory_base(self) -> Path | None:
        if not self._settings.memory_folder:
            return None
        return Path(self._settings.memory_folder) / f"ouroboros-{os.getuid()}-{self._places.repo_id}"

    def _disk_base(self) -> Path:
        return self._places.cache / "workspaces" / self._places.repo_id

    def _fits_in_memory(self, commit: str) -> bool:
        try:
            space = os.statvfs(self._settings.memory_folder)
        except OSError:
            return False
        if space.f_flag & os.ST_NOEXEC or not os.access(self._settings.memory_folder, os.W_OK):
            return False
        free = space.f_bavail * space.f_frsize
        return self._list(commit).size * 2 * 10_000 < free * self._settings.memory_share_bp

    def _list_commit(self, commit: str) -> Listing:
        rows = (row.partition("\t") for row in self._git.run("ls-tree", "-r", "-l", "-z", "--full-tree", commit).fields)
        sizes = {path: meta.split()[3] for meta, _, path in rows}
        files = {path: size_in_tree(size, path) for path, size in sizes.items() if size != "-"}
        return Listing(tuple(files), sum(files.values()), tuple(path for path in sizes if path not in files))


def _is_ours(folder: Path) -> bool:
    try:
        info = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and info.st_mode & 0o077 == 0
