"""Which test and which files a person's words name, of those that are committed.

Written ids (``tests/test_a.py::test_b``) and spoken names ("test total with discount") both count, if they exist.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterable, Mapping

from ledger.vocabulary import Frozen
from sensors.ports import RepositoryPort
from sensors.python_source.syntax import is_test, parse_python
from sensors.requests.sentences import squeeze

MOST_TESTS = 10


_TEST_ID = re.compile(r"(?<![\w./-])((?:[\w.-]{1,100}/){0,12}[\w-]{1,100}\.py((?:::\w{1,200}){1,4}))")


def named_tests(text: str) -> tuple[str, ...]:
    """Test ids in a text (``tests/test_a.py::test_b``), without parameters, in order, ten at most."""
    found = (match[1] for match in _TEST_ID.finditer(text))
    inside = (test for test in found if not {"..", "."} & set(test.partition("::")[0].split("/")))
    return tuple(dict.fromkeys(inside))[:MOST_TESTS]


def files_of(tests: Iterable[str]) -> tuple[str, ...]:
    """The files of test ids."""
    return tuple(dict.fromkeys(test.partition("::")[0] for test in tests))


def find_defined(tests: Iterable[str], files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Those of ``tests`` that the files of a commit define: running an undefined name proves nothing."""
    trees = {path: parse_python(data) for path, data in files.items()}
    return tuple(test for test in tests if _defines(trees.get(test.partition("::")[0]), test.split("::")[1:]))


def _defines(tree: ast.AST | None, names: list[str]) -> bool:
    here = tree
    for name in names:
        body = getattr(here, "body", ())
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        here = next((node for node in body if isinstance(node, kinds) and node.name == name), None)
        if here is None:
            return False
    return here is not None


MOST_FILES = 2_000
MOST_TARGETS = 4
LONGEST_NAME = 10  # words
_WORD = re.compile(r"[a-z0-9_]+")
_PATH = re.compile(r"(?<![\w./-])(?:[\w.-]{1,100}/){0,12}[\w-]{1,100}\.\w{1,8}(?![\w/])")


class NamedCheck(Frozen):
    """``tests`` are ids; ``several`` are ids that one spoken name may mean; ``targets`` are other files."""

    tests: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


async def named_check(text: str, commit: str, files: RepositoryPort) -> NamedCheck:
    """Look the names of ``text`` up at ``commit``."""
    there = frozenset(await files.files(commit))
    targets = tuple(path for path in paths_in(text) if path in there and not is_test(path))[:MOST_TARGETS]
    written = named_tests(text)
    if written:
        real = find_defined(written, await files.read_many(commit, files_of(written)))
        return NamedCheck(tests=real, targets=targets)
    names = spoken_names(text)
    if not names:
        return NamedCheck(targets=targets)
    tests = [path for path in sorted(there) if path.endswith(".py") and is_test(path)][:MOST_FILES]
    found = await asyncio.to_thread(tests_named, names, await files.read_many(commit, tests))
    ids = next((found[name] for name in names if name in found), ())
    if len(ids) > 1:
        return NamedCheck(several=ids, targets=targets)
    return NamedCheck(tests=ids, targets=targets)


def paths_in(text: str) -> tuple[str, ...]:
    """What looks like a path of a file, in order. Pure."""
    return tuple(dict.fromkeys(match[0] for match in _PATH.finditer(text)))


def spoken_names(text: str) -> tuple[str, ...]:
    """Names of tests that the words may spell, the longest first. Pure."""
    words = _WORD.findall(squeeze(text).casefold())
    found: list[str] = []
    for start, word in enumerate(words):
        if word == "test" or word.startswith("test_"):
            least = start + 1 if word == "test" else start
            ends = range(min(len(words), start + LONGEST_NAME), least, -1)
            found += ["_".join(words[start:end]) for end in ends]
    return tuple(sorted(dict.fromkeys(found), key=len, reverse=True))


def tests_named(names: Iterable[str], files: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
    """Ids of the tests of these names, by name. Pure, and long for many files: for a thread."""
    found: dict[str, list[str]] = {}
    wanted = frozenset(names)
    for path, data in files.items():
        if any(f"def {name}(".encode() in data for name in wanted):
            for test_id, name in _functions(path, parse_python(data), ()):
                if name in wanted:
                    found.setdefault(name, []).append(test_id)
    return {name: tuple(ids) for name, ids in found.items()}


def _functions(path: str, tree: ast.AST | None, inside: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    for node in getattr(tree, "body", ()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "::".join((path, *inside, node.name)), node.name
        elif isinstance(node, ast.ClassDef):
            yield from _functions(path, node, (*inside, node.name))
