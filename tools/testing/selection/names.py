"""Which files are tests, by name alone."""

from __future__ import annotations

from pathlib import PurePosixPath

_TEST_FOLDERS = frozenset({"test", "tests"})  # not "testing": a package of that name is mostly a program's own
_TEST_FILES = frozenset({"conftest.py", "tests.py"})


def is_test_module(path: str) -> bool:
    """Whether pytest, by its default patterns, would collect this file."""
    name = PurePosixPath(path).name
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def is_test_side(path: str) -> bool:
    """Whether the file belongs to the tests: collected, a conftest, a ``tests.py`` (Django's), or a helper beside."""
    pure = PurePosixPath(path)
    return is_test_module(path) or pure.name in _TEST_FILES or not _TEST_FOLDERS.isdisjoint(pure.parts[:-1])


def stands_for(named: str, test: str) -> bool:
    """Whether ``named`` (a test, a class, a file, a folder, a conftest) is ``test`` or contains it.

    Tests that cannot be collected have the id of their file, later ids of their own below that.
    """
    place = place_of(named)
    return test == named or not place or test.startswith((f"{place}::", f"{place}[", f"{place}/"))


def place_of(named: str) -> str:
    """pytest's argument for an id: the folder for a conftest, whose tests need it. Empty: all tests."""
    if named.partition("::")[0].rpartition("/")[2] == "conftest.py":
        return named.rpartition("/")[0]
    return "" if named == "." else named
