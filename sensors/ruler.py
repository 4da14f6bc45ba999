"""The files that measure: a change that touches one proves nothing by what is measured afterwards. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ledger.ids import sha256_hex

MOST = 300
PYTEST_FILES = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "conftest.py")


def ruler_of(files: Collection[str], command: Sequence[str], named: Sequence[str]) -> tuple[str, ...]:
    """Files of a tree that the command or the owner names, or that lie in a folder that one of them names.

    For pytest also its settings, and each ``conftest.py`` on the way, whether it is there or not.
    """
    there = frozenset(files)
    names = {place for word in command for place in _places(word)} | {name.strip("/") for name in named}
    found = {path for path in there if path in names or any(above in names for above in _above(path))}
    if found and any("pytest" in word for word in command):
        found |= set(PYTEST_FILES) | {f"{above}/conftest.py" for path in found for above in _above(path)}
    return tuple(sorted(found))


def digest_of(contents: Mapping[str, bytes | None]) -> str:
    """Changes when one of the files does, is gone, or comes to be."""
    rows = (f"{path}\0{'-' if data is None else sha256_hex(data)}" for path, data in sorted(contents.items()))
    return sha256_hex("\n".join(rows))


def _places(word: str) -> tuple[str, ...]:
    """What a word of a command line may name in the tree: a path, a pytest id, an option's value, a module."""
    path = word.rpartition("=")[2].partition("::")[0].removeprefix("./").rstrip("/")
    if not path or path.startswith("-") or path == ".":
        return ()
    if "/" not in path and all(part.isidentifier() for part in path.split(".")):
        module = path.replace(".", "/")
        return (path, f"{module}.py", f"{module}/__main__.py", f"src/{module}.py", f"src/{module}/__main__.py")
    return (path,)


def _above(path: str) -> tuple[str, ...]:
    parts = path.split("/")
    return tuple("/".join(parts[:count]) for count in range(1, len(parts)))
