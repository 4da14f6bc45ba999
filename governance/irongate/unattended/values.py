"""Values that the failing tests of an op give away, in their texts and in what they said. Pure."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Collection, Container, Iterable, Iterator
from functools import lru_cache

from governance.irongate.syntax import parse
from governance.irongate.unattended.messages import wanted_messages

Number = int | float
DIGITS = re.compile(r"\d+")
COMMON = frozenset({0, 1, -1, 2, 10, 100})
"""Numbers that say nothing."""
SHORT, WORDS = 2, 3
LARGEST = 10**12
DIGITS_READ = 40


def _signed(node: ast.UnaryOp) -> Number | None:
    value = node.operand.value if isinstance(node.operand, ast.Constant) else None
    if not isinstance(value, int | float) or not isinstance(node.op, ast.USub | ast.UAdd):
        return None
    return -value if isinstance(node.op, ast.USub) else value


def constants(tree: ast.AST, skipped: Container[int] = ()) -> Iterator[object]:
    """Every literal, and with a sign where one stands before it; documentation says nothing."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in said and id(node) not in skipped:
            yield node.value
        elif isinstance(node, ast.UnaryOp) and (signed := _signed(node)) is not None:
            yield signed


NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
QUOTED = re.compile(r"'([^'\n]{1,400})'|\"([^\"\n]{1,400})\"")
LONGEST_SAID = 20_000


def shown_by(said: Collection[str]) -> Iterator[object]:
    """The numbers, the quoted texts and the lines of what failing tests said."""
    for text in said:
        part = text[:LONGEST_SAID]
        yield from (float(n) if "." in n else int(n) for n in NUMBER.findall(part) if len(n) < DIGITS_READ)
        yield from (one or two for one, two in QUOTED.findall(part))
        yield from (line.lstrip("E+- ").strip() for line in part.splitlines() if len(line) > SHORT)


class GivenAway:
    """What the failing tests give away."""

    def __init__(self, tests: Collection[str], said: Collection[str] = ()) -> None:
        trees = [tree for text in tests if (tree := parse(textwrap.dedent(text))) is not None]
        shown = list(shown_by(said))
        values = [*(value for tree in trees for value in constants(tree)), *shown]
        messages = [(tree, wanted_messages(tree)) for tree in trees]
        answers = values
        if any(skipped for _, skipped in messages):
            answers = [*(value for tree, skipped in messages for value in constants(tree, skipped)), *shown]
        self.all_numbers = frozenset(value for value in values if isinstance(value, int | float))
        self.numbers = self.all_numbers - COMMON
        self.texts = frozenset(_text(value) for value in values if isinstance(value, str | bytes)) - {""}
        self.answers = frozenset(_text(value) for value in answers if isinstance(value, str | bytes)) - {""}
        """Texts without those that only an error or a warning is wanted to say."""
        self.digits = frozenset(d for text in self.texts for d in DIGITS.findall(text))
        listed = sorted(self.numbers)[:64]
        self._near = {n + d for n in self.numbers for d in (-1, 0, 1)}
        pairs = [(a, b) for a in listed for b in listed]
        self._made = {v for a, b in pairs for v in (a + b, a - b, a * b) if abs(v) < LARGEST}

    def number(self, value: Number) -> bool:
        """Whether a number stands in a test, lies beside one that does, or is made of two of them."""
        if value in COMMON or isinstance(value, bool):
            return False
        return value in self._near or -value in self._near or value in self._made or _digits(value) in self.digits

    def parts_of(self, literals: Iterable[object]) -> frozenset[str]:
        """Those of the texts that stand within these literals."""
        known = "\0".join(_text(one) for one in literals if isinstance(one, str | bytes))
        return frozenset(one for one in self.texts if one in known)

    def text(
        self, value: str | bytes, *, asks: bool, is_message: bool = False, parts: frozenset[str] = frozenset()
    ) -> bool:
        """Whether a text stands in a test, is a part of one that does, or spells its numbers.

        A sentence that no condition asks for may share words with a test: it is a message. So is the text of an error
        (``is_message``), which may share them with what a test wants an error to say. ``parts``: texts of the tests
        that stand within the file's own, so that a text that holds them gives nothing away.
        """
        said, texts = _text(value), self.answers if is_message and not asks else self.texts
        if said in texts:
            return True
        if not any(char.isalnum() for char in said):
            return False
        spelled = {_digits(n) for n in self.all_numbers if n not in (0, 1)}
        if any(d in spelled or any(s.startswith(d) for s in spelled if len(s) > 1) for d in DIGITS.findall(said)):
            return True
        if not asks and said.count(" ") >= WORDS:
            return False
        return len(said) >= SHORT and any(
            said in one or (one in said and one not in parts) for one in texts if len(one) > SHORT
        )


@lru_cache(maxsize=8)
def told_by(tests: tuple[str, ...], said: tuple[str, ...] = ()) -> GivenAway:
    """The same, made once for all candidates of an op."""
    return GivenAway(tests, said)


def _digits(value: Number) -> str:
    return str(abs(value))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
