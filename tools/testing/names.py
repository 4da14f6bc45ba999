"""Which files are tests, by name alone."""

from __future__ import annotations

from pathlib import PurePosixPath

_TEST_FOLDERS = frozenset({"test", "tests", "testing"})


def is_test_module(path: str) -> bool:
    """Whether pytest, by its default patterns, would collect this file."""
    name = PurePosixPath(path).name
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def is_test_side(path: str) -> bool:
    """Whether the file belongs to the tests: collected, a conftest, or a helper in a folder of tests."""
    pure = PurePosixPath(path)
    return is_test_module(path) or pure.name == "conftest.py" or not _TEST_FOLDERS.isdisjoint(pure.parts[:-1])
