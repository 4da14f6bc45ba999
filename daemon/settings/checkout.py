"""Finds the folders of the repository that contains a path, from the disk alone: git has not been run yet."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import RepositoryError
from ledger.paths import kind_of, read_regular

POINTER_BYTES = 64 * 1024
POINTER = b"gitdir: "
SETTINGS_BYTES = 1024 * 1024
_SETTINGS = ("config", "config.worktree")
_SUBFOLDERS = ("", "info", "objects/info", "refs", "logs")
_NULL = os.makedev(1, 3)  # /dev/null is allowed: reading it ends at once


@dataclass(frozen=True, slots=True)
class Checkout:
    """``top``: the work tree that contains a path, if any. ``folders``: all folders of its repository.

    These are the work tree, its git folders, the other work trees of the repository, and enclosing repositories (it can
    be a submodule of one).
    """

    top: Path | None
    folders: tuple[Path, ...]


def checkout_of(path: Path, *, home: Path) -> Checkout:
    """The checkout around ``path``. A repository at ``home`` or above it does not count as enclosing.

    Raises ``RepositoryError`` for a ``.git`` that is neither a git folder nor the path of one, and for a git folder
    with files that git would read without end.
    """
    real = Path(os.path.realpath(path))
    real_home = Path(os.path.realpath(home))
    top: Path | None = None
    folders: dict[Path, None] = {}
    for folder in (real, *real.parents):
        if folders and real_home.is_relative_to(folder):
            break
        git_dir = folder if _is_git_folder(folder) else _git_folder_of(folder)
        if git_dir is None:
            continue
        if not folders and folder != git_dir:
            top = folder
        parts = tuple(_repository_folders(git_dir))
        if not folders:
            _refuse_endless_files(git_dir, parts[1])
        folders |= dict.fromkeys((folder, *parts))
    return Checkout(top, tuple(folders))


def _is_git_folder(folder: Path) -> bool:
    """Whether a folder is a git folder, by git's rule. A path in one is in no work tree, but in the repository."""
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _git_folder_of(folder: Path) -> Path | None:
    """The git folder that ``folder/.git`` is or points to; None without ``.git``."""
    entry = folder / ".git"
    try:
        found = entry.stat()
    except OSError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return Path(os.path.realpath(entry))
    if not stat.S_ISREG(found.st_mode):
        raise RepositoryError(
            f"{entry} is neither a folder nor a file, so there is no repository.", remedy="Remove it, and clone again."
        )
    return _read_pointer(entry, POINTER)


def _repository_folders(git_dir: Path) -> Iterator[Path]:
    """A git folder, the common git folder that it shares, and all work trees of the repository."""
    common = git_dir
    if (git_dir / "commondir").is_file():
        common = _read_pointer(git_dir / "commondir")
    yield from (git_dir, common)
    if common.name == ".git":
        yield common.parent
    for own in sorted((common / "worktrees").glob("*")):
        with suppress(RepositoryError):  # a work tree that was moved or removed by hand
            tree = _read_pointer(own / "gitdir").parent
            if _git_folder_of(tree) == own:
                yield tree


def _refuse_endless_files(git_dir: Path, common: Path) -> None:
    """Raises ``RepositoryError`` for a pipe, device or huge settings file, which would block every call of git."""
    places = [folder / name for name in _SUBFOLDERS for folder in {git_dir, common}]
    with suppress(OSError):
        ref = read_regular(git_dir / "HEAD", POINTER_BYTES).removeprefix(b"ref: ").rstrip()
        places += [folder / os.fsdecode(ref) for folder in (git_dir / "logs", common / "logs", common)]
    for place in places:
        for file in (place, *_list_folder(place)):
            try:
                found = file.stat()
            except (OSError, ValueError):
                continue
            if stat.S_ISFIFO(found.st_mode) or (kind_of(found.st_mode) == "a device" and found.st_rdev != _NULL):
                raise RepositoryError(
                    f"{file} is {kind_of(found.st_mode)}, and git would read it without end.", remedy="Remove it."
                )
            if file.name in _SETTINGS and found.st_size > SETTINGS_BYTES:
                raise RepositoryError(
                    f"{file} has {found.st_size} bytes, more than the {SETTINGS_BYTES} that are read.",
                    remedy="Remove settings that are not needed.",
                )


def _list_folder(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # it is no folder, or not there
        return []


def _read_pointer(pointer: Path, prefix: bytes = b"") -> Path:
    """The real path that a pointer file of git (``.git``, ``commondir``, ``gitdir``) contains."""
    try:
        fd = os.open(pointer, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(fd, "rb") as file:
            data = file.read(POINTER_BYTES + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError as error:
        raise RepositoryError(f"{pointer} cannot be read: {error.strerror}.") from error
    target = data.removeprefix(prefix).rstrip(b"\r\n")
    if not data.startswith(prefix) or len(data) > POINTER_BYTES or b"\0" in target or not target:
        raise RepositoryError(
            f"{pointer} does not contain the path of a git folder.",
            remedy="Run `git worktree repair` in the main checkout, or clone again.",
        )
    return Path(os.path.realpath(pointer.parent / os.fsdecode(target)))
