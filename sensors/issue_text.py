"""What is read out of the text of an issue: names of tests, and a goal of one line. Pure; the text is data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from ledger.ids import sha256_hex
from sensors.news import IssueNews
from sensors.syntax import parsed

MOST_TESTS = 10
TITLE_CHARS = 300
BODY_SHOWN = 6_000
_TEST_ID = re.compile(r"(?<![\w./-])((?:[\w.-]{1,100}/){0,12}[\w-]{1,100}\.py((?:::\w{1,200}){1,4}))")


def named_tests(text: str) -> tuple[str, ...]:
    """Ids of tests that stand in a text (``tests/test_a.py::test_b``), without parameters, in order, ten at most."""
    found = (match[1] for match in _TEST_ID.finditer(text))
    inside = (test for test in found if not {"..", "."} & set(test.partition("::")[0].split("/")))
    return tuple(dict.fromkeys(inside))[:MOST_TESTS]


def files_of(tests: Iterable[str]) -> tuple[str, ...]:
    """The files of test ids."""
    return tuple(dict.fromkeys(test.partition("::")[0] for test in tests))


def defined(tests: Iterable[str], files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Those of ``tests`` that the files of a commit define: running a name that nobody has defined says nothing."""
    trees = {path: parsed(data) for path, data in files.items()}
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


def name_of(news: IssueNews) -> str:
    """``owner/name#12``."""
    return f"{news.repository}#{news.number}"


def goal_of(news: IssueNews) -> str:
    """One line that names the issue and quotes its title."""
    title = " ".join("".join(c if c.isprintable() else " " for c in news.title).split())
    return f"Resolve issue {name_of(news)}: {title[:TITLE_CHARS]}"


def text_of(news: IssueNews) -> str:
    """Title and body, as far as they are shown to a model."""
    return f"{news.title}\n\n{news.body}"[:BODY_SHOWN]


def digest_of(news: IssueNews) -> str:
    """Changes when the words of the issue change."""
    return sha256_hex(f"{news.title}\0{news.body}")
