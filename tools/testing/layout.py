"""How a project is laid out: where importable code begins, and which ignored files its tests cannot do without."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from tools.git import Git

BUILT_LIMIT = 200
_BUILT_SUFFIXES = (".so", ".pyd")
_GENERATED = ("_version.py", "version.py")
_NOT_MODULES = frozenset({"setup", "conftest", "noxfile", "tasks", "fabfile"})


def import_roots(repo: Path, linked: Collection[Path]) -> tuple[str, ...]:
    """Folders of the repository from which its modules are imported, the most particular first, ``.`` always last.

    ``linked`` are the folders that the environment puts on the import path (an editable install names its root there).
    """
    found = [_inside(repo, folder) for folder in linked]
    found += _declared(repo)
    if (repo / "src").is_dir() and not (repo / "src/__init__.py").exists():
        found.append("src")
    kept = [root for root in found if root not in (None, ".") and (repo / str(root)).is_dir()]
    return (*dict.fromkeys(str(root) for root in kept), ".")


def project_names(root: Path, roots: Collection[str]) -> tuple[str, ...]:
    """Top-level module names that the project provides: for these, the loaded file must be the project's."""
    names: set[str] = set()
    for place in roots:
        folder = root / place
        if not folder.is_dir():
            continue
        for entry in folder.iterdir():
            if entry.suffix == ".py" and entry.stem not in _NOT_MODULES:
                names.add(entry.stem)
            elif (entry / "__init__.py").is_file():
                names.add(entry.name)
    return tuple(sorted(name for name in names if name.isidentifier()))


def ignored_needs(git: Git) -> tuple[str, ...]:
    """Ignored paths of the checkout that tests may need: built extensions, generated version files, install metadata.

    Bounded, and caches are never among them. Blocking; raises ``GitFailed``.
    """
    listed = git.run("ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z").fields
    return needed(listed)[:BUILT_LIMIT]


def needed(listed: Iterable[str]) -> tuple[str, ...]:
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
    real = folder.resolve()
    return real.relative_to(repo).as_posix() if real.is_relative_to(repo) else None


def _declared(repo: Path) -> list[str]:
    """Roots that ``pyproject.toml`` names for setuptools."""
    try:
        project = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    setuptools = project.get("tool", {}).get("setuptools", {})
    if not isinstance(setuptools, dict):
        return []
    packages, folders = setuptools.get("packages"), setuptools.get("package-dir")
    where = packages.get("find", {}).get("where", []) if isinstance(packages, dict) else []
    base = [folders[""]] if isinstance(folders, dict) and "" in folders else []
    return [path for path in (*where, *base) if isinstance(path, str) and ".." not in path and not path.startswith("/")]
