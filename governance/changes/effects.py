"""All file and git effects of a change, one method each; nothing else in this package writes.

``step`` is called before each effect. A subclass can end the process there (the crash tests do so), delay, or fail.

Two names are exchanged, or one renamed without replacing, by ``renameat2``. Some file systems lack it (network and FUSE
mounts). Hard links then do the same in several steps, each of which recovery can recognise. That is as safe in a crash,
but a file that another process renames over the old one in the microseconds between our last check and our rename is
lost.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from governance.changes.folders import open_parent
from ledger.errors import ApplyConflict, GitFailed
from ledger.paths import FOLDER
from tools.git import Git
from tools.untrusted_tree import UntrustedTree, join_names, list_programs

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})

Rename2 = Callable[[int, str, str, int], None]


def rename2(folder: int, source: str, target: str, flags: int) -> None:
    """``renameat2`` inside one open folder. Raises ``OSError`` with the kernel's errno; ENOSYS where libc lacks it."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), target)
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if function(folder, os.fsencode(source), folder, os.fsencode(target), flags):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


ASIDE = ".aside"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DURABLE = ("-c", "core.fsync=objects,reference")  # not git's default: a ref could outlive its commit
PRIVATE = (*DURABLE, "-c", "core.splitIndex=false", "-c", "core.untrackedCache=false", "-c", "core.fileMode=true")


class Effects:
    """Performs writes. Folders are open descriptors and names single components, so that no link is followed."""

    def __init__(self, git: Git, *, rename2: Rename2 = rename2) -> None:
        self.git = git
        self._rename2 = rename2

    def step(self, effect: str, target: str) -> None:
        """Hook for tests, called just before each effect. Does nothing."""

    # --- files ------------------------------------------------------------------------------------------------------

    def write_new(self, folder: int, name: str, data: bytes, mode: int) -> None:
        """A new file with these bytes, synced to disk."""
        self.step("create", name)
        fd = os.open(name, NEW_FILE, 0o600, dir_fd=folder)
        with os.fdopen(fd, "wb") as file:
            self.step("write", name)
            file.write(data)
            file.flush()
            os.fchmod(fd, mode)
            self.step("fsync", name)
            os.fsync(fd)

    def rename(self, folder: int, source: str, target: str) -> None:
        """Rename, replacing ``target``. Both names are ours."""
        self.step("rename", target)
        os.rename(source, target, src_dir_fd=folder, dst_dir_fd=folder)

    def rename_new(self, folder: int, source: str, target: str) -> None:
        """Rename without replacing; ``FileExistsError`` when ``target`` exists.

        ``FileNotFoundError`` when ``source`` is gone, or was replaced during the hard-link fallback for ``renameat2``.
        """
        self.step("rename_new", target)
        try:
            self._rename2(folder, source, target, RENAME_NOREPLACE)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            os.link(source, target, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            self.step("unlink", source)
            if not _same_file(folder, source, target):
                raise FileNotFoundError(errno.ENOENT, "it was replaced at this very moment", source) from error
            os.unlink(source, dir_fd=folder)

    def exchange(self, folder: int, partner: str, target: str) -> None:
        """Swap two existing names; ``partner`` then has what ``target`` had at that instant.

        ``FileNotFoundError`` when ``target`` is gone, or was replaced during the hard-link fallback for ``renameat2``.
        """
        self.step("exchange", target)
        try:
            self._rename2(folder, partner, target, RENAME_EXCHANGE)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            self._exchange_by_links(folder, partner, target)

    def _exchange_by_links(self, folder: int, partner: str, target: str) -> None:
        aside = partner + ASIDE
        os.link(target, aside, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        self.step("rename", target)
        if not _same_file(folder, target, aside):
            os.unlink(aside, dir_fd=folder)
            raise FileNotFoundError(errno.ENOENT, "it was replaced at this very moment", target)
        os.rename(partner, target, src_dir_fd=folder, dst_dir_fd=folder)
        self.rename(folder, aside, partner)

    def unlink(self, folder: int, name: str) -> None:
        """Remove one of our own names."""
        self.step("unlink", name)
        os.unlink(name, dir_fd=folder)

    def make_folder(self, folder: int, name: str) -> None:
        """A new folder; not an error if it exists by now."""
        self.step("mkdir", name)
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=folder)

    def remove_folder(self, folder: int, name: str) -> None:
        """Remove a folder if it is empty."""
        self.step("rmdir", name)
        with suppress(OSError):
            os.rmdir(name, dir_fd=folder)

    def sync_folder(self, folder: int) -> None:
        """Sync the folder's entries to disk."""
        self.step("fsync_folder", "")
        os.fsync(folder)

    def make_private(self, folder: Path) -> None:
        """A private folder outside the repository."""
        self.step("mkdir", folder.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove_private(self, folder: Path) -> None:
        """Remove a private folder and its contents."""
        self.step("remove_private", folder.name)
        shutil.rmtree(folder, ignore_errors=True)

    def lay_out(self, root: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
        """Write files below a private folder."""
        for path, (data, mode) in files.items():
            self.step("lay_out", path)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            with open_parent(root, path) as (folder, name):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                with os.fdopen(os.open(name, NEW_FILE, 0o600, dir_fd=folder), "wb") as file:
                    file.write(data)
                    os.fchmod(file.fileno(), mode)

    # --- git --------------------------------------------------------------------------------------------------------

    def read_tree(self, index: Path, tree: str) -> None:
        """Fill a private index with a tree."""
        self.step("read_tree", tree)
        self.git.run(*PRIVATE, "read-tree", tree, index=index)

    def stage(self, index: Path, root: Path, paths: tuple[str, ...]) -> None:
        """Add files below ``root`` to a private index like ``git add`` (attributes, mode), but without filters.

        The content is untrusted, so no filter is run on it; a file that has one is refused with ``ApplyConflict``.
        """
        self.step("stage", str(len(paths)))
        tree = UntrustedTree(git=self.git, root=root, index=index, programs=list_programs(self.git), options=PRIVATE)
        filtered = tree.filtered(path for path in paths if os.path.lexists(root / path))
        if filtered:
            named = ", ".join(f"{path} ({name})" for path, name in sorted(filtered.items()))
            raise ApplyConflict(
                f"The attributes give these files a filter, which is not run over content that a model wrote: {named}.",
                paths=tuple(sorted(filtered)),
                remedy="Make this change by hand.",
            )
        tree.run("update-index", "--add", "--remove", "-z", "--stdin", stdin=join_names(paths))

    def graft(self, index: Path, lines: bytes) -> None:
        """Put entries (``--index-info`` form, NUL-terminated) into a private index."""
        self.step("graft", "")
        self.git.run(*PRIVATE, "update-index", "-z", "--index-info", stdin=lines, index=index)

    def write_tree(self, index: Path) -> str:
        """The tree object of a private index."""
        self.step("write_tree", "")
        return self.git.run(*PRIVATE, "write-tree", index=index).text

    def write_commit(self, data: bytes) -> str:
        """Store a commit object."""
        self.step("write_commit", "")
        return self.git.run(*DURABLE, "hash-object", "-t", "commit", "-w", "--stdin", stdin=data).text

    def move_ref(self, ref: str, new: str, old: str, message: str, identity: Mapping[str, str]) -> str:
        """Compare-and-swap. Returns an empty text when ``ref`` moved, else the first line of git's reason.

        It does not move when it is not at ``old`` (all zeros: must not exist), or cannot be written.
        """
        self.step("move_ref", ref)
        done = self.git.run(
            *DURABLE, "update-ref", "--create-reflog", "-m", message, ref, new, old, ok=(0, 1, 128), extra_env=identity
        )
        return "" if done.code == 0 else (done.err.strip().rstrip(".").splitlines() or ["it gave no reason"])[0]

    def update_owner_index(self, lines: bytes) -> bool:
        """Put entries into the owner's own index. False when another git process holds its lock."""
        self.step("update_owner_index", "")
        done = self.git.run("update-index", "-z", "--index-info", stdin=lines, ok=(0, 128))
        if done.code and "index.lock" not in done.err:
            raise GitFailed(
                f"The owner's index could not be updated: {done.err.strip()}.",
                argv=("update-index",),
                code=done.code,
                stderr=done.err,
            )
        return done.code == 0

    def refresh_owner_index(self) -> None:
        """Refresh stat data in the owner's index. A held lock is not an error: git refreshes later."""
        self.step("refresh_owner_index", "")
        self.git.run("update-index", "-q", "--refresh", "--ignore-submodules", ok=(0, 1, 128))


def _same_file(folder: int, one: str, other: str) -> bool:
    try:
        first, second = (os.stat(name, dir_fd=folder, follow_symlinks=False) for name in (one, other))
    except FileNotFoundError:
        return False
    return os.path.samestat(first, second)


def sync_path(effects: Effects, folder: Path) -> None:
    """:meth:`Effects.sync_folder` for a private folder given by path."""
    fd = os.open(folder, FOLDER)
    try:
        effects.sync_folder(fd)
    finally:
        os.close(fd)
