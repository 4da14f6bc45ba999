"""Layout of a project: import roots, and ignored files that its tests need."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from ledger.parsers import UnreadableText
from ledger.parsers.toml import read_toml
from ledger.paths import read_text
from tools import contained
from tools.git import Git
from tools.whereabouts import is_folder

BUILT_LIMIT = 200
_BUILT_SUFFIXES = (".so", ".pyd")
_GENERATED = ("_version.py", "version.py")
_NOT_MODULES = frozenset({"setup", "conftest", "noxfile", "tasks", "fabfile"})


def import_roots(repo: Path, linked: Collection[Path]) -> tuple[str, ...]:
    """Folders of the repository from which modules are imported, the most specific first, ``.`` always last.

    ``linked``: folders that the environment puts on the import path, as editable installs do.
    """
    found = [_inside(repo, folder) for folder in linked]
    found += _declared(repo)
    if is_folder(repo / "src") and not os.path.lexists(repo / "src/__init__.py"):
        found.append("src")
    kept = [root for root in found if root not in (None, ".") and is_folder(repo / str(root))]
    return (*dict.fromkeys(str(root) for root in kept), ".")


def project_names(root: Path, roots: Collection[str]) -> tuple[str, ...]:
    """Top-level module names that the project provides: for these, the loaded file must be the project's.

    ``root`` is a copy that tests have written in: no folder is listed to which a link leads out of it.
    """
    names: set[str] = set()
    for place in roots:
        with contained.open_folder(root, place) as fd:
            for name in os.listdir(fd) if fd is not None else ():  # noqa: PTH208 - a descriptor, no path
                if name.endswith(".py") and name[:-3] not in _NOT_MODULES:
                    names.add(name[:-3])
                elif fd is not None and _is_package(name, fd):
                    names.add(name)
    return tuple(sorted(name for name in names if name.isidentifier()))


def _is_package(name: str, fd: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(f"{name}/__init__.py", dir_fd=fd).st_mode)
    except OSError:
        return False


def ignored_needs(git: Git) -> tuple[str, ...]:
    """Ignored paths of the checkout that tests may need: built extensions, generated version files, install metadata.

    Bounded, and caches are never among them. Blocking; raises ``GitFailed``.
    """
    listed = git.run("ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z").fields
    return find_needed(listed)[:BUILT_LIMIT]


def find_needed(listed: Iterable[str]) -> tuple[str, ...]:
    """The pure part of :func:`ignored_needs`: folders end with ``/``."""
    chosen = []
    for path in listed:
        name = PurePosixPath(path).name
        if path.endswith("/"):
            if name.endswith(".egg-info"):
                chosen.append(path.rstrip("/"))
        elif name.endswith(_BUILT_SUFFIXES) or name.endswith(_GENERATED):
            chosen.append(path)
    return tuple(sorted(chosen))


def _inside(repo: Path, folder: Path) -> str | None:
    real = Path(os.path.realpath(folder))
    return real.relative_to(repo).as_posix() if real.is_relative_to(repo) else None


def _declared(repo: Path) -> list[str]:
    """Roots that ``pyproject.toml`` names for setuptools."""
    setuptools = table(table(project_file(repo), "tool"), "setuptools")
    where = table(table(setuptools, "packages"), "find").get("where", [])
    base = table(setuptools, "package-dir").get("", "")
    named = [*(where if isinstance(where, list) else []), base]
    return [path for path in named if isinstance(path, str) and path and ".." not in path and not path.startswith("/")]


def project_file(repo: Path) -> dict[str, Any]:
    """Content of ``pyproject.toml``; empty when missing or invalid."""
    try:
        return read_toml(read_text(repo / "pyproject.toml") or "")
    except UnreadableText:
        return {}


def table(of: dict[str, Any], name: str) -> dict[str, Any]:
    """The table of that name; an empty one if missing or no table."""
    found = of.get(name)
    return found if isinstance(found, dict) else {}
