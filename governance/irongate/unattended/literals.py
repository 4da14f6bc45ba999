"""Literals that a change may write down: what says little, what the file says already, plain words. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from governance.irongate.unattended.units import Found
from governance.irongate.unattended.values import Told, constants

SMALL, PLAIN = frozenset(range(-1, 10)), frozenset({-1, 0, 1})
"""Numbers that may be written, and those of them that a condition may ask for."""
MARKS = " ,:;'\"!?()\\[\\]{}%=+*#@`\n\t-"
WORDS = re.compile(rf"[\w{MARKS}]*(?:\.(?=\s|$)[\w{MARKS}]*)*")
"""A text without what paths, addresses, commands and special names are made of."""
SPECIAL = re.compile(r"__\w|(?:^|\s)-\w|\{[^}:!]*[.\[]|%\([^)]*__")
LONGEST, MOST_NUMBERS = 80, 3
RUNNER_WORDS = re.compile(r"pytest|unittest|doctest|conftest|nosetests|hypothesis", re.I)


class Literals:
    """What may be written in one file. ``tree``: the file as it was."""

    def __init__(self, tree: ast.Module, told: Told) -> None:
        self._told = told
        self._had = list(constants(tree))
        self._texts = frozenset(one for one in self._had if isinstance(one, str | bytes))
        self._parts = told.parts_of(self._texts)
        self._numbers = frozenset(one for one in self._had if isinstance(one, int | float))

    def problems(
        self, node: ast.Constant, *, near: Collection[float], asks: bool, is_pattern: bool = False, told: bool = False
    ) -> Iterator[Found]:
        """What is wrong with one that is new. ``near``: numbers of the place that is changed. ``told``: it is a part
        of an error's text."""
        value = node.value
        if value is None or value is Ellipsis or isinstance(value, bool):
            return
        if isinstance(value, complex):
            yield "value", f"writes {value!r} down"
        elif isinstance(value, int | float):
            known = (
                value in (PLAIN if asks else SMALL)
                or value in near
                or value - 1 in near
                or value + 1 in near
                or (value in self._numbers and not asks)
            )
            if self._told.number(value):
                yield "value", f"writes {value!r} down, which the failing test gives away"
            elif not known:
                yield "value", f"writes {value!r} down, which does not stand in the file"
        else:
            yield from self._text(value, asks=asks, is_pattern=is_pattern, told=told)

    def _text(self, value: str | bytes, *, asks: bool, is_pattern: bool, told: bool) -> Iterator[Found]:
        text = value if isinstance(value, str) else value.decode("latin-1")
        if value in self._texts and not self._told.text(value, asks=True, parts=self._parts):
            return
        if self._told.text(value, asks=asks, is_message=told, parts=self._parts):
            yield "value", f"writes {text[:40]!r} down, which the failing test gives away"
        elif asks and any(char.isdigit() for char in text):
            yield "value", f"asks for {text[:40]!r}"
        elif RUNNER_WORDS.search(text):
            yield "runner", f"speaks of {text[:40]!r}"
        elif not is_pattern and not told and (len(text) > LONGEST or not WORDS.fullmatch(text) or SPECIAL.search(text)):
            yield "value", f"writes {text[:40]!r} down, which is more than plain words"


def numbers(nodes: Collection[ast.AST]) -> list[float]:
    """The numbers that stand in these nodes."""
    return [
        node.value
        for top in nodes
        for node in ast.walk(top)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
    ]
