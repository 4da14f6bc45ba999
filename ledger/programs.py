"""Lookup of programs to run outside the sandbox: never in the repository, never where other users can write.

The search path is filtered folder by folder. Left out are relative and empty entries (they mean the current folder,
usually the repository's), folders of the repository by any path, and world-writable folders. A path through a
world-writable folder (``/tmp``) is accepted only where that folder is sticky, so that others cannot rename its
contents, and the next component belongs to root or to us.

Folders of the repository are identified by device and inode, and a path is followed link by link: a target that is
reached by a link in the repository is under the repository's control. A bind mount of one of its folders has another
path and parent; such mounts are found in ``/proc/self/mountinfo``.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from ledger.errors import ProgramMissing
from ledger.places import HostEnv, Identity, LeftOut

IN_THE_REPOSITORY = "lies in the repository"
MOUNTS = Path("/proc/self/mountinfo")
MAX_LINKS = 40  # the kernel's own limit
REMEDY = "Nothing that lies in the repository, or that others can write to, is run outside the sandbox."


def folder_identities(folders: Iterable[Path]) -> frozenset[Identity]:
    """Device and inode of every folder, and of other mount points of it or of a folder in it."""
    real = [os.path.realpath(folder) for folder in folders]
    shown = (*real, *_other_mounts(real))
    return frozenset(found for path in shown if (found := _identity(path)) is not None)


def trusted_path(path: str, repository: frozenset[Identity]) -> tuple[str, tuple[LeftOut, ...]]:
    """The search path without untrusted entries, and each entry left out with the reason."""
    kept: dict[str, None] = {}
    left_out: dict[LeftOut, None] = {}
    for entry in path.split(os.pathsep):
        problem = _folder_problem(entry, repository)
        if problem:
            left_out[entry, problem] = None
        else:
            kept[entry] = None
    return os.pathsep.join(kept), tuple(left_out)


def find_program(name: str, env: HostEnv) -> Path:
    """The absolute path of a program. ``name`` is a bare name, or an absolute path from the owner's settings.

    Raises ``ProgramMissing``, whose message names a program that was found but refused, with the reason.
    """
    folders, left_out = trusted_path(env.path, env.repository)
    candidates = [name] if "/" in name else [f"{folder}/{name}" for folder in folders.split(os.pathsep) if folder]
    refused = []
    for candidate in candidates:
        problem = program_problem(candidate, env.repository)
        if problem == "":
            return Path(candidate)
        if problem is not None:
            refused.append(f"{candidate} {problem}")
    if "/" not in name:
        refused += _in_refused_folders(name, (*env.left_out, *left_out))
    raise ProgramMissing(
        f"{refused[0]}, so it is not run." if refused else f"{name} was not found.",
        refused=bool(refused),
        remedy=REMEDY if refused else f"Install {name}, and put it on PATH.",
    )


def program_problem(program: str, repository: frozenset[Identity]) -> str | None:
    """Why a program may not be run, as a clause; empty when it may, None when there is no such executable file."""
    try:
        if not os.access(program, os.X_OK) or not stat.S_ISREG((found := os.stat(program)).st_mode):  # noqa: PTH116
            return None
    except (OSError, ValueError):
        return None
    if not program.startswith("/"):
        return "is named by a relative path"
    if found.st_mode & stat.S_IWOTH:
        return "is writable by every user"
    return _path_problem(program, repository)


def _in_refused_folders(name: str, left_out: Iterable[LeftOut]) -> Iterator[str]:
    """Clauses that name programs found in folders that were left out, with the reason."""
    for folder, problem in left_out:
        if folder.startswith("/") and program_problem(f"{folder}/{name}", frozenset()) is not None:
            yield f"{folder}/{name} is in a folder that {problem}"


def _folder_problem(folder: str, repository: frozenset[Identity]) -> str:
    """Why a folder is not searched, as a clause; empty when it is searched."""
    if not folder.startswith("/"):
        return "is relative" if folder else "is empty"
    try:
        found = os.stat(folder)  # noqa: PTH116
    except (OSError, ValueError):
        return "cannot be read"
    if not stat.S_ISDIR(found.st_mode):
        return "is not a folder"
    if found.st_mode & stat.S_IWOTH:
        return "is writable by every user"
    return _path_problem(folder, repository)


def _path_problem(path: str, repository: frozenset[Identity]) -> str:
    """Why a file or folder reached by ``path`` is not trusted, as a clause; empty when it is trusted."""
    in_shared_folder = False  # the component before is a world-writable folder
    try:
        for here, found in _steps(path):
            if (found.st_dev, found.st_ino) in repository:
                return IN_THE_REPOSITORY
            if in_shared_folder and found.st_uid not in (0, os.geteuid()):
                return f"is reached over {here}, which another user put there"
            writable = stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_IWOTH)
            if writable and not found.st_mode & stat.S_ISVTX:
                return f"is reached over {here}, which is writable by every user"
            in_shared_folder = writable
    except (OSError, ValueError):
        return "cannot be followed"
    return ""


def _steps(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every component that the kernel visits to resolve ``path``, links and their targets included."""
    here, links = "/", 0
    left = path.split("/")[::-1]
    yield here, os.lstat(here)
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)  # noqa: PTH120
            continue
        place = f"{here.rstrip('/')}/{name}"
        found = os.lstat(place)
        yield place, found
        if not stat.S_ISLNK(found.st_mode):
            here = place
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(place)  # noqa: PTH115
        here = "/" if target.startswith("/") else here
        left += target.split("/")[::-1]


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _other_mounts(folders: list[str]) -> list[str]:
    """Mount points of ``folders``, or of folders in them, at another path."""
    try:
        rows = [line.split(" ", 5)[2:5] for line in os.fsdecode(MOUNTS.read_bytes()).splitlines()]
    except OSError:
        return []
    mounts = [(device, _unescaped(root), _unescaped(point)) for device, root, point in rows]
    sources = []
    for folder in folders:
        over = [mount for mount in mounts if _is_in(folder, mount[2])]
        if over:
            device, root, point = max(reversed(over), key=lambda mount: len(mount[2]))
            below = folder[len(point) :].strip("/")
            sources.append((device, f"{root.rstrip('/')}/{below}".rstrip("/") or "/"))
    return [
        point
        for device, root, point in mounts
        if any(device == held and _is_in(root, source) for held, source in sources)
    ]


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text) if "\\" in text else text
