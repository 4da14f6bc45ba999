"""Sources that serve tests: what a fixture gives, a plugin does or a helper compares decides what a test proves.

No name separates them from the program: they lie beside it and tests import them. Known are those that mention a test
runner, and what lies in a folder of tests, however that is called.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from governance.irongate.lines import as_text
from governance.irongate.paths import is_python
from governance.irongate.syntax import parse, source
from governance.irongate.tables import word_set

RUNNERS = word_set(
    """
    pytest _pytest unittest unittest2 hypothesis nose nose2 pluggy testtools behave pytest_bdd pytest_asyncio
    testfixtures xdist ward twisted.trial django.test
    """
)
FOLDER = re.compile(
    r"(?i)(?:\w+[_-])?(?:unit|func|doc)?(?:tests?|testing|fixtures?|specs?)"
    r"(?:[_-]?(?:data|utils?|lib|support|helpers?|suites?))?"
)
HOOK = "pytest_"
_SPOKEN = re.compile(r"^[ \t]{0,200}(?:import|from)[ \t]{1,200}([\w.]{1,200})", re.MULTILINE)


def is_support(path: str, before: bytes | None, after: bytes | None) -> bool:
    """Whether a Python file is a part of tests rather than of the program, as it was or as it becomes."""
    if not is_python(path):
        return False
    return any(map(FOLDER.fullmatch, path.split("/")[:-1])) or any(
        _mentions_runner(data) for data in (before, after) if data is not None
    )


def _mentions_runner(data: bytes) -> bool:
    tree = parse(data)
    if tree is None:
        return any(map(_is_runner, _SPOKEN.findall(as_text(data))))
    return any(map(_is_runner, _imported(tree))) or any(map(_is_for_runner, tree.body))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_runner(name: str) -> bool:
    """Doubles of objects (``unittest.mock``) are used by programs as well."""
    if f"{name}.".startswith("unittest.mock."):
        return False
    parts = name.split(".")
    return any(".".join(parts[:count]) in RUNNERS for count in range(1, len(parts) + 1))


def _is_for_runner(node: ast.stmt) -> bool:
    """A hook or a fixture."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return node.name.startswith(HOOK) or any("fixture" in source(each) for each in node.decorator_list)
