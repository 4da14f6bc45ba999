"""Values that an unattended change writes down: which a test gives away, and which are computed to hide one."""

from __future__ import annotations

import ast
import doctest
import operator
import re
import textwrap
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from functools import lru_cache

from governance.irongate.syntax import parse
from governance.irongate.unattended.messages import wanted_messages

Number = int | float
DIGITS = re.compile(r"\d+")
PLAIN = frozenset({0, 1, -1})
"""Numbers that a condition may ask for."""
COMMON = frozenset({0, 1, -1, 2, 10, 100})
"""Numbers that say nothing."""
SHORT, WORDS = 2, 3
LARGEST = 10**12
DIGITS_READ = 40


def fold(node: ast.AST) -> object:
    """The value of an expression that is made of literals alone by arithmetic; ``...`` where it is no such thing."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        inner = fold(node.operand)
        if isinstance(inner, int | float):
            signs = {ast.USub: -inner, ast.UAdd: +inner, ast.Not: not inner}
            return signs.get(type(node.op), ...)
    if isinstance(node, ast.BinOp):
        left, right = fold(node.left), fold(node.right)
        if isinstance(left, str | bytes) and isinstance(right, str | bytes) and isinstance(node.op, ast.Add):
            return left + right if type(left) is type(right) else ...  # type: ignore[operator]
        if isinstance(left, int | float) and isinstance(right, int | float):
            return _arithmetic(node.op, left, right)
    return ...


def _arithmetic(sign: ast.operator, left: Number, right: Number) -> object:
    makers: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
        ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    }  # fmt: skip
    maker = makers.get(type(sign))
    try:
        return maker(left, right) if maker else ...
    except (ArithmeticError, ValueError):
        return ...


def constants(tree: ast.AST, skipped: Container[int] = ()) -> Iterator[object]:
    """Every literal, and with a sign where one stands before it; documentation says nothing."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in said and id(node) not in skipped:
            yield node.value
        elif isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
            yield fold(node)


def is_number(value: object) -> bool:
    return isinstance(value, int | float | complex) and not isinstance(value, bool)


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


class Told:
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
def told_by(tests: tuple[str, ...], said: tuple[str, ...] = ()) -> Told:
    """The same, made once for all candidates of an op."""
    return Told(tests, said)


def _digits(value: Number) -> str:
    return str(abs(value))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def from_literals(node: ast.expr, constant: frozenset[str] = frozenset()) -> bool:
    """An expression that computes something and whose leaves are literals alone, or names that stand for such."""
    if not isinstance(node, ast.BinOp | ast.Call | ast.JoinedStr | ast.Subscript | ast.Compare | ast.BoolOp):
        return False
    called: set[int] = set()
    found = False
    for inner in ast.walk(node):  # what is called comes after its call
        if isinstance(inner, ast.Call):
            called.add(id(inner.func))
        elif isinstance(inner, ast.Name) and id(inner) not in called:
            if inner.id not in constant:
                return False
            found = True
        found = found or isinstance(inner, ast.Constant)
    return found


def constant_names(statements: Iterable[ast.AST]) -> frozenset[str]:
    """Names to which these statements give what is made of literals alone, step by step."""
    found: set[str] = set()
    given: set[str] = set()
    for node in statements:
        for inner in ast.walk(node):
            if (
                isinstance(inner, ast.Assign | ast.AnnAssign | ast.NamedExpr | ast.AugAssign)
                and inner.value is not None
            ):
                targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
                said = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
                leaves = {one.id for one in ast.walk(inner.value) if isinstance(one, ast.Name)}
                plain = isinstance(inner.value, ast.Constant) or from_literals(inner.value, frozenset(found))
                if plain or (leaves and leaves <= found):
                    found |= said
                else:
                    given |= said
    return frozenset(found - given)


def documentation(tree: ast.Module) -> frozenset[str]:
    """Texts that stand as statements: what a file says of itself."""
    said = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return frozenset(one.value for one in said if isinstance(one, ast.Constant) and isinstance(one.value, str))


def examples_of(text: str) -> list[str]:
    """The examples of a text, as source; one that cannot be parsed stands for those that cannot be read."""
    try:
        return [one.source for one in doctest.DocTestParser().get_examples(text)] if ">>>" in text else []
    except ValueError:
        return [">>>"]
