"""Which folders belong to the repository that a path lies in: read from the disk, before git is run at all."""

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
_OWN = ("", "info", "objects/info", "refs", "logs")
_NULL = os.makedev(1, 3)  # /dev/null, which is read at once


@dataclass(frozen=True, slots=True)
class Checkout:
    """``top`` is the work tree that a path lies in, if it lies in one. ``folders`` are all that belong to it.

    These are the work tree, its git folders, the other work trees of the same repository, and the repositories around
    it (it may be a submodule of one).
    """

    top: Path | None
    folders: tuple[Path, ...]


def checkout_of(path: Path, *, home: Path) -> Checkout:
    """What lies around ``path``. An owner who keeps ``home`` itself in git means that no repository below it.

    Raises ``RepositoryError`` for a ``.git`` that is neither a git folder nor the path of one, and for a git folder
    that git would wait at, or read without end.
    """
    real = Path(os.path.realpath(path))
    at_home = Path(os.path.realpath(home))
    top: Path | None = None
    folders: dict[Path, None] = {}
    for folder in (real, *real.parents):
        if folders and at_home.is_relative_to(folder):
            break
        git_dir = folder if _is_git_folder(folder) else _git_folder_of(folder)
        if git_dir is None:
            continue
        if not folders and folder != git_dir:
            top = folder
        belonging = tuple(_belonging(git_dir))
        if not folders:
            _refuse_odd(git_dir, belonging[1])
        folders |= dict.fromkeys((folder, *belonging))
    return Checkout(top, tuple(folders))


def _is_git_folder(folder: Path) -> bool:
    """By git's own rule: a path within one is in no work tree, but belongs to the repository."""
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _git_folder_of(folder: Path) -> Path | None:
    """The git folder that ``folder/.git`` is or names."""
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
    return _named_in(entry, POINTER)


def _belonging(git_dir: Path) -> Iterator[Path]:
    """A git folder, the one that it shares, and the work trees of both."""
    common = git_dir
    if (git_dir / "commondir").is_file():
        common = _named_in(git_dir / "commondir")
    yield from (git_dir, common)
    if common.name == ".git":
        yield common.parent
    for own in sorted((common / "worktrees").glob("*")):
        with suppress(RepositoryError):  # one that was moved or removed by hand belongs to nobody
            tree = _named_in(own / "gitdir").parent
            if _git_folder_of(tree) == own:
                yield tree


def _refuse_odd(git_dir: Path, common: Path) -> None:
    """A pipe or a device where git reads a file holds every call of git; each reads the settings again."""
    places = [folder / name for name in _OWN for folder in {git_dir, common}]
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
                    remedy="Take out what is in it for nothing.",
                )


def _list_folder(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # it is no folder, or not there
        return []


def _named_in(pointer: Path, prefix: bytes = b"") -> Path:
    """The path that a small file of git's holds, real."""
    try:
        fd = os.open(pointer, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(fd, "rb") as file:
            data = file.read(POINTER_BYTES + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError as error:
        raise RepositoryError(f"{pointer} cannot be read: {error.strerror}.") from error
    named = data.removeprefix(prefix).rstrip(b"\r\n")
    if not data.startswith(prefix) or len(data) > POINTER_BYTES or b"\0" in named or not named:
        raise RepositoryError(
            f"{pointer} is to hold the path of a git folder, and does not.",
            remedy="`git worktree repair` in the main checkout writes it again; or clone again.",
        )
    return Path(os.path.realpath(pointer.parent / os.fsdecode(named)))
