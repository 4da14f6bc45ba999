"""Python files of the repository: parsing, and which of them are tests or the owner's own code. Pure."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath

from ledger.python_source import parse


def parse_python(data: bytes) -> ast.Module | None:
    """The syntax tree; None when the file does not parse. Emits no warnings."""
    return parse(data)


TEST_FOLDERS = frozenset({"test", "tests", "testing"})
FOREIGN = frozenset({"vendor", "vendored", "_vendor", "third_party", "node_modules", "migrations", "alembic"})


def is_own_python(path: str) -> bool:
    """Whether a path is a Python file that is neither vendored nor generated."""
    return path.endswith(".py") and FOREIGN.isdisjoint(path.split("/")[:-1]) and not path.endswith("_pb2.py")


def is_test(path: str) -> bool:
    """Whether a path is a test file, or a file that only tests use."""
    pure = PurePosixPath(path)
    name = pure.name.startswith("test_") or pure.stem.endswith("_test") or pure.name == "conftest.py"
    return name or not TEST_FOLDERS.isdisjoint(pure.parts[:-1])
