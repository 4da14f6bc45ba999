"""File access below a root: follows no symbolic link and never leaves the root.

No concurrent process can swap a folder for a link between check and use (see :func:`ledger.paths.open_below`).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from ledger.errors import PolicyRefused
from ledger.paths import FOLDER, LinkInPath, is_link, open_below
from tools.sandbox.launcher import remove_all

CONTAINED_RULE = "workspace.contained"
NO_FOLLOW_RULE = "workspace.no_follow"
SIZE_RULE = "workspace.too_large"
LONGEST_NAME, LONGEST_PATH = 255, 2_000
"""Limits in bytes: of a name, as in file systems; of a path in the repository, so that below one of our folders it is
still short enough for the kernel and git."""


def parts_of(path: str) -> tuple[str, ...]:
    """Components of a path inside the repository. Raises ``PolicyRefused`` for others and for those in ``.git``."""
    parts = tuple(path.split("/"))
    if not path or path.startswith("/") or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise PolicyRefused(
            f"{path!r} is not a path inside the repository.", rule=CONTAINED_RULE, remedy="Name a relative path."
        )
    if too_long(path):
        raise PolicyRefused(
            f"{path[:100]!r}... is too long for the name of a file.",
            rule=CONTAINED_RULE,
            remedy=f"A name may have {LONGEST_NAME} bytes, a path {LONGEST_PATH}, and each has to be text.",
        )
    if any(part.lower() == ".git" for part in parts):
        raise PolicyRefused(f"{path!r} belongs to git itself.", rule=CONTAINED_RULE, remedy="Name a project file.")
    return parts


def too_long(path: str) -> bool:
    """Whether a path exceeds the limits of a name or of a path, or has surrogates that no file name can encode."""
    try:
        data = os.fsencode(path)
    except UnicodeEncodeError:
        return True
    return len(data) > LONGEST_PATH or any(len(part) > LONGEST_NAME for part in data.split(b"/"))


@contextlib.contextmanager
def _parent(root: Path, path: str, *, create: bool) -> Iterator[tuple[int, str] | None]:
    """Descriptor of the parent folder of ``path``, and the last component; None where the folder does not exist.

    ``create`` makes missing folders. Raises ``PolicyRefused`` when a folder is a link.
    """
    *folders, name = parts_of(path)
    top = os.open(root, FOLDER)
    try:
        fd = open_below(top, folders, create=create)
    except LinkInPath as error:
        raise _link_refused(path, str(error.filename)) from error
    except OSError:
        if create:
            raise
        yield None  # no such folder, or a plain file in its place
        return
    try:
        yield fd, name
    finally:
        os.close(fd)


def _link_refused(path: str, link: str) -> PolicyRefused:
    return PolicyRefused(
        f"{path!r} goes through the symbolic link {link!r}.", rule=NO_FOLLOW_RULE, remedy="Name the real file."
    )


def read_file(root: Path, path: str, *, most: int | None = None) -> bytes | None:
    """Bytes of a regular file, None where there is none.

    Raises ``PolicyRefused`` for a link, a path outside the root, or a file of more than ``most`` bytes.
    """
    with _parent(root, path, create=False) as place:
        if place is None:
            return None
        fd, name = place
        try:
            # Non-blocking, or a FIFO that a test created would block the reader for ever.
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if is_link(name, fd):
                raise _link_refused(path, name) from error
            return None
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            os.close(handle)
            return None
        with os.fdopen(handle, "rb") as file:
            if most is not None and info.st_size > most:
                raise PolicyRefused(
                    f"{path!r} has {info.st_size} bytes, more than the {most} that are read.",
                    rule=SIZE_RULE,
                    remedy="Keep files of that size out of what Ouroboros works on.",
                )
            return file.read()


def size_of(root: Path, path: str) -> int | None:
    """Size in bytes of a regular file, None where there is none. Raises ``PolicyRefused`` for a path outside."""
    found = _status(root, path)
    return found.st_size if found is not None and stat.S_ISREG(found.st_mode) else None


def mode_of(root: Path, path: str) -> int | None:
    """Permission bits as git keeps them (0644 or 0755), None where there is nothing. Raises as :func:`size_of`."""
    found = _status(root, path)
    return None if found is None else 0o755 if found.st_mode & 0o100 else 0o644


def exists(root: Path, path: str) -> bool:
    """Whether anything, a link included, exists at ``path``. Raises ``PolicyRefused`` for a path outside."""
    return _status(root, path) is not None


def _status(root: Path, path: str) -> os.stat_result | None:
    with _parent(root, path, create=False) as place:
        if place is None:
            return None
        fd, name = place
        try:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            return None


def write_file(root: Path, path: str, data: bytes, mode: int) -> None:
    """Create or replace a regular file atomically. Raises ``PolicyRefused`` when a component of ``path`` is a link."""
    with _parent(root, path, create=True) as place:
        assert place is not None  # create=True makes every folder or raises
        fd, name = place
        if is_link(name, fd):
            raise _link_refused(path, name)
        scratch = f".ouro-{os.urandom(8).hex()}"  # a valid name even where the file's own is of the greatest length
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                os.fchmod(handle, mode & 0o777)
            os.replace(scratch, name, src_dir_fd=fd, dst_dir_fd=fd)
        except OSError:
            os.unlink(scratch, dir_fd=fd)
            raise


def write_link(root: Path, path: str, target: str) -> None:
    """Create a symbolic link at ``path``, replacing a file or link there."""
    with _parent(root, path, create=True) as place:
        assert place is not None
        fd, name = place
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=fd)
        os.symlink(target, name, dir_fd=fd)


def lay_link(root: Path, path: str, target: Path) -> None:
    """Create a symbolic link at ``path`` if its folder exists and nothing is in its place.

    Raises ``PolicyRefused`` when a folder of ``path`` is a link.
    """
    with _parent(root, path, create=False) as place:
        if place is not None:
            fd, name = place
            with contextlib.suppress(FileExistsError):
                os.symlink(target, name, dir_fd=fd)


@contextlib.contextmanager
def open_folder(root: Path, path: str) -> Iterator[int | None]:
    """Descriptor of a folder (``.``: the root itself), with links inside the root resolved; None where there is none,
    or where a link leads out of the root or into ``.git``."""
    real, top = os.path.realpath(root / path), os.path.realpath(root)
    inside = os.path.relpath(real, top)
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(_parent(Path(top), f"{inside}/x" if inside != "." else "x", create=False))
        except PolicyRefused:  # it leads outside, into .git, or was swapped for a link just now
            place = None
        yield place[0] if place is not None else None


def delete_file(root: Path, path: str) -> None:
    """Remove a file or a link (never what the link points to); nothing happens where there is none."""
    with _parent(root, path, create=False) as place:
        if place is not None:
            fd, name = place
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=fd)


def remove_tree(folder: Path) -> None:
    """Remove a folder of our own with everything below, however deep, unreadable folders included.

    Links are not followed. Raises ``OSError``, but not for a missing folder.
    """
    with contextlib.suppress(FileNotFoundError):
        remove_all(str(folder))


def remove_special(folder: Path) -> None:
    """Remove pipes, sockets and devices below a folder of our own. Links are not followed.

    Those so deep that their path is too long are left: nothing can open them by a path either.
    """
    waiting = [folder]
    while waiting:
        try:
            inside = os.scandir(waiting.pop())
        except OSError:
            continue
        with inside:
            for entry in inside:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif not (entry.is_file(follow_symlinks=False) or entry.is_symlink()):
                    Path(entry.path).unlink()


def prune(root: Path, keep: Collection[str], mounts: Collection[str] = ()) -> None:
    """Remove everything below ``root`` that is not in ``keep`` (files, links), and make the rest readable and writable.

    ``mounts`` are not touched: removing a folder that is a mount point in another namespace would unmount it there.
    """
    whole = (*keep, *mounts)
    folders = {"/".join(path.split("/")[:depth]) for path in whole for depth in range(1, path.count("/") + 1)}
    wanted, places = frozenset(keep), frozenset(mounts)
    waiting = [""]
    while waiting:  # iterative: a commit's folders may be deeper than the recursion limit
        waiting += _pruned(root, waiting.pop(), wanted, folders, places)


def _pruned(
    root: Path, prefix: str, keep: Collection[str], folders: Collection[str], mounts: Collection[str]
) -> list[str]:
    """Prune one folder; returns its sub-folders that are still to be pruned."""
    here, below = root / prefix, []
    if here.stat(follow_symlinks=False).st_mode & 0o700 != 0o700:
        here.chmod(0o700)
    with os.scandir(here) as entries:
        listed = list(entries)
    for entry in listed:
        path = prefix + entry.name
        if path in mounts:
            continue
        if entry.is_dir(follow_symlinks=False):
            if path in folders:
                below.append(f"{path}/")
            else:
                remove_tree(Path(entry.path))
        elif path not in keep or not (entry.is_file(follow_symlinks=False) or entry.is_symlink()):
            Path(entry.path).unlink()  # a pipe in the place of a file would block its reader
        elif not entry.is_symlink() and entry.stat(follow_symlinks=False).st_mode & 0o600 != 0o600:
            Path(entry.path).chmod(0o600)
    return below
