"""Kinds of files by their path: test, runner configuration, Python, code."""

from __future__ import annotations

import re

from governance.irongate.tables import word_list

TEST_FOLDERS = frozenset({"test", "tests", "__tests__"})
TEST_NAME = re.compile(
    r"^(?:test_.*|.*_test|tests|conftest)\.(?:py|pyi)$|^.*_test\.go$|^.*\.(?:test|spec)\.[cm]?[jt]sx?$"
)
RUNNER_FILES = frozenset({"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "noxfile.py", "conftest.py"})
SHARED_CONFIG = frozenset({"pyproject.toml", "setup.cfg", "tox.ini"})
# A module of such a name beside the tests would be imported in place of the runner's own.
SHADOWS = frozenset({"pytest", "_pytest", "pluggy", "sitecustomize", "usercustomize", "unittest", "coverage"})
PYTHON = (".py", ".pyi")
CODE = (
    *PYTHON,
    *word_list(
        ".js .jsx .mjs .cjs .ts .tsx .go .rs .c .h .cc .cpp .hpp .java .kt .cs .rb "
        ".php .swift .scala .sh .bash .zsh .pl .lua .sql .r .jl"
    ),
)


def is_python(path: str) -> bool:
    """A Python source or interface file."""
    return path.endswith(PYTHON)


def is_code(path: str) -> bool:
    """A source file of a programming language."""
    return path.lower().endswith(CODE)


def is_test_path(path: str) -> bool:
    """A test module, a conftest, or anything in a folder of tests (fixtures and data count as tests)."""
    *folders, name = path.split("/")
    return bool(TEST_FOLDERS.intersection(folders)) or bool(TEST_NAME.match(name))


def is_named_test(path: str) -> bool:
    """A file whose own name makes it a test, wherever it lies."""
    return bool(TEST_NAME.match(path.rsplit("/", 1)[-1]))


def is_test_module(path: str) -> bool:
    """A Python file that is a test or a helper of tests."""
    return is_python(path) and is_test_path(path)


def is_runner_file(path: str) -> bool:
    """A file that configures the test runner, or that the runner would import in place of one of its own modules."""
    parts = path.split("/")
    return (
        parts[-1] in RUNNER_FILES
        or any(part in SHADOWS for part in parts)
        or (parts[-1].endswith(".py") and parts[-1].removesuffix(".py") in SHADOWS)
    )


def is_shared_config(path: str) -> bool:
    """A file that holds runner configuration beside other things."""
    return path.rsplit("/", 1)[-1] in SHARED_CONFIG
