"""Decides by names alone which files are tests, and which test ids an id includes."""

from __future__ import annotations

from pathlib import PurePosixPath

_TEST_FOLDERS = frozenset({"test", "tests"})  # not "testing": such a package usually belongs to the program
_TEST_FILES = frozenset({"conftest.py", "tests.py"})


def is_test_module(path: str) -> bool:
    """Whether pytest, by its default patterns, would collect this file."""
    name = PurePosixPath(path).name
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def is_test_side(path: str) -> bool:
    """Whether the file is a test module, a conftest, a ``tests.py`` (Django's), or in a folder of tests."""
    pure = PurePosixPath(path)
    return is_test_module(path) or pure.name in _TEST_FILES or not _TEST_FOLDERS.isdisjoint(pure.parts[:-1])


def includes_test(named: str, test: str) -> bool:
    """Whether the id ``named`` (of a test, class, file, folder or conftest) is the id ``test`` or includes it.

    A file that cannot be collected has one id; once it can, its tests have ids that begin with that.
    """
    place = pytest_argument(named)
    return test == named or not place or test.startswith((f"{place}::", f"{place}[", f"{place}/"))


def pytest_argument(named: str) -> str:
    """The pytest argument that runs an id: for a conftest its folder, whose tests use it. Empty: all tests."""
    if named.partition("::")[0].rpartition("/")[2] == "conftest.py":
        return named.rpartition("/")[0]
    return "" if named == "." else named
