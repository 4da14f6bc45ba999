"""Values that an op's failing tests reveal in their texts and messages, and texts of errors that a test wants. Pure."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Collection, Container, Iterable, Iterator
from functools import lru_cache

from governance.irongate.syntax import parse

Number = int | float
DIGITS = re.compile(r"\d+")
COMMON = frozenset({0, 1, -1, 2, 10, 100})
"""Numbers that are too common to count."""
SHORT, WORDS = 2, 3
LARGEST = 10**12
DIGITS_READ = 40

ERROR_BLOCKS = ("raises", "warns", "deprecated_call", "assertRaises", "assertWarns")
"""Calls of a test that want an error or a warning."""
ERROR_PATTERNS = frozenset({"assertRaisesRegex", "assertRaisesRegexp", "assertWarnsRegex"})
"""Those that take the text as their second argument."""


def _signed(node: ast.UnaryOp) -> Number | None:
    value = node.operand.value if isinstance(node.operand, ast.Constant) else None
    if not isinstance(value, int | float) or not isinstance(node.op, ast.USub | ast.UAdd):
        return None
    return -value if isinstance(node.op, ast.USub) else value


def constants(tree: ast.AST, skipped: Container[int] = ()) -> Iterator[object]:
    """Every literal, with its sign if it has one; documentation is left out."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in said and id(node) not in skipped:
            yield node.value
        elif isinstance(node, ast.UnaryOp) and (signed := _signed(node)) is not None:
            yield signed


NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
QUOTED = re.compile(r"'([^'\n]{1,400})'|\"([^\"\n]{1,400})\"")
LONGEST_SAID = 20_000


def find_quoted_values(said: Collection[str]) -> Iterator[object]:
    """Numbers, quoted texts and lines in the messages of failing tests."""
    for text in said:
        part = text[:LONGEST_SAID]
        yield from (float(n) if "." in n else int(n) for n in NUMBER.findall(part) if len(n) < DIGITS_READ)
        yield from (one or two for one, two in QUOTED.findall(part))
        yield from (line.lstrip("E+- ").strip() for line in part.splitlines() if len(line) > SHORT)


def find_wanted_messages(test: ast.AST) -> frozenset[int]:
    """Constants (by identity) that a test compares with the text of an error or a warning alone."""
    found: list[ast.AST] = []
    caught: set[str] = set()
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and _last(node.func) in (*ERROR_BLOCKS, *ERROR_PATTERNS):
            found += [word.value for word in node.keywords if word.arg == "match"]
            found += node.args[1:2] if _last(node.func) in ERROR_PATTERNS else []
        elif isinstance(node, ast.With | ast.AsyncWith):
            caught.update(
                item.optional_vars.id
                for item in node.items
                if isinstance(item.context_expr, ast.Call)
                and _last(item.context_expr.func) in (*ERROR_BLOCKS, *ERROR_PATTERNS)
                and isinstance(item.optional_vars, ast.Name)
            )
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            sides = [node.left, node.comparators[0]]
            of_error = [any(isinstance(n, ast.Name) and n.id in caught for n in ast.walk(side)) for side in sides]
            found += [side for side, other in zip(sides, reversed(of_error), strict=True) if other]
    return frozenset(id(node) for top in found for node in ast.walk(top) if isinstance(node, ast.Constant))


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


class RevealedValues:
    """Numbers and texts that the failing tests reveal."""

    def __init__(self, tests: Collection[str], said: Collection[str] = ()) -> None:
        trees = [tree for text in tests if (tree := parse(textwrap.dedent(text))) is not None]
        shown = list(find_quoted_values(said))
        values = [*(value for tree in trees for value in constants(tree)), *shown]
        messages = [(tree, find_wanted_messages(tree)) for tree in trees]
        answers = values
        if any(skipped for _, skipped in messages):
            answers = [*(value for tree, skipped in messages for value in constants(tree, skipped)), *shown]
        self.all_numbers = frozenset(value for value in values if isinstance(value, int | float))
        self.numbers = self.all_numbers - COMMON
        self.texts = frozenset(_text(value) for value in values if isinstance(value, str | bytes)) - {""}
        self.answers = frozenset(_text(value) for value in answers if isinstance(value, str | bytes)) - {""}
        """Texts but for those that are expected in errors and warnings only."""
        self.digits = frozenset(d for text in self.texts for d in DIGITS.findall(text))
        listed = sorted(self.numbers)[:64]
        self._near = {n + d for n in self.numbers for d in (-1, 0, 1)}
        pairs = [(a, b) for a in listed for b in listed]
        self._made = {v for a, b in pairs for v in (a + b, a - b, a * b) if abs(v) < LARGEST}

    def number(self, value: Number) -> bool:
        """Whether a test has this number, one next to it, or two that it is computed from."""
        if value in COMMON or isinstance(value, bool):
            return False
        return value in self._near or -value in self._near or value in self._made or _digits(value) in self.digits

    def parts_of(self, literals: Iterable[object]) -> frozenset[str]:
        """The tests' texts that are contained in these literals."""
        known = "\0".join(_text(one) for one in literals if isinstance(one, str | bytes))
        return frozenset(one for one in self.texts if one in known)

    def text(
        self, value: str | bytes, *, in_condition: bool, is_message: bool = False, parts: frozenset[str] = frozenset()
    ) -> bool:
        """Whether a test has this text, has one that contains it, or has its numbers.

        A message may share words with a test: a sentence in no condition, or the text of an error (``is_message``),
        which may also share them with the message that a test expects. ``parts``: texts of the tests that the file has
        as well, so that a text which contains them reveals nothing.
        """
        said, texts = _text(value), self.answers if is_message and not in_condition else self.texts
        if said in texts:
            return True
        if not any(char.isalnum() for char in said):
            return False
        spelled = {_digits(n) for n in self.all_numbers if n not in (0, 1)}
        if any(d in spelled or any(s.startswith(d) for s in spelled if len(s) > 1) for d in DIGITS.findall(said)):
            return True
        if not in_condition and said.count(" ") >= WORDS:
            return False
        return len(said) >= SHORT and any(
            said in one or (one in said and one not in parts) for one in texts if len(one) > SHORT
        )


@lru_cache(maxsize=8)
def revealed_values(tests: tuple[str, ...], said: tuple[str, ...] = ()) -> RevealedValues:
    """The values of an op's failing tests, computed once for all its candidates."""
    return RevealedValues(tests, said)


def _digits(value: Number) -> str:
    return str(abs(value))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
