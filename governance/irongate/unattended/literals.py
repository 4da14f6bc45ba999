"""Literals that a change may add: common ones, those of the file, plain words. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from governance.irongate.unattended.units import Found
from governance.irongate.unattended.values import RevealedValues, constants

SMALL, PLAIN = frozenset(range(-1, 10)), frozenset({-1, 0, 1})
"""Numbers that may be written, and those of them that a condition may ask for."""
MARKS = " ,:;'\"!?()\\[\\]{}%=+*#@`\n\t-"
WORDS = re.compile(rf"[\w{MARKS}]*(?:\.(?=\s|$)[\w{MARKS}]*)*")
"""A text without what paths, addresses, commands and special names are made of."""
SPECIAL = re.compile(r"__\w|(?:^|\s)-\w|\{[^}:!]*[.\[]|%\([^)]*__")
WORD = re.compile(r"[^\W\d_]{3,}")
LONGEST, MOST_NUMBERS = 80, 3
RUNNERS = ("pytest", "unittest", "doctest", "conftest", "nosetests", "hypothesis", "magicmock", "ouroboros", "tests")
TELLING = 3
"""Number of letters that identify such a name."""


class Literals:
    """What may be written in one file. ``tree``: the file as it was."""

    def __init__(self, tree: ast.Module, revealed: RevealedValues) -> None:
        self._revealed = revealed
        self._had = list(constants(tree))
        self._texts = frozenset(one for one in self._had if isinstance(one, str | bytes))
        self._parts = revealed.parts_of(self._texts)
        self._words = _words(tree)
        self._numbers = frozenset(one for one in self._had if isinstance(one, int | float))

    def _strange(self, text: str) -> str:
        """A word of a text that the file does not use."""
        return next((word for word in WORD.findall(text) if word.casefold() not in self._words), "")

    def problems(
        self,
        node: ast.Constant,
        *,
        near: Collection[float],
        in_condition: bool,
        is_pattern: bool = False,
        in_error: bool = False,
    ) -> Iterator[Found]:
        """What is wrong with a new one. ``near``: numbers of the changed place. ``in_error``: part of an error."""
        value = node.value
        if value is None or value is Ellipsis or isinstance(value, bool):
            return
        if isinstance(value, complex):
            yield "value", f"writes {value!r} down"
        elif isinstance(value, int | float):
            known = (
                value in (PLAIN if in_condition else SMALL)
                or value in near
                or value - 1 in near
                or value + 1 in near
                or (value in self._numbers and not in_condition)
            )
            if self._revealed.number(value):
                yield "value", f"writes {value!r} down, which the failing test gives away"
            elif not known:
                yield "value", f"writes {value!r} down, which does not stand in the file"
        else:
            yield from self._text(value, in_condition=in_condition, is_pattern=is_pattern, in_error=in_error)

    def _text(self, value: str | bytes, *, in_condition: bool, is_pattern: bool, in_error: bool) -> Iterator[Found]:
        text = value if isinstance(value, str) else value.decode("latin-1")
        if value in self._texts and not self._revealed.text(value, in_condition=True, parts=self._parts):
            return
        if self._revealed.text(value, in_condition=in_condition, is_message=in_error, parts=self._parts):
            yield "value", f"writes {text[:40]!r} down, which the failing test gives away"
        elif in_condition and any(char.isdigit() for char in text):
            yield "value", f"asks for {text[:40]!r}"
        elif _names_a_runner(text, in_condition=in_condition):
            yield "runner", f"speaks of {text[:40]!r}"
        elif not (is_pattern or in_error or in_condition) and (strange := self._strange(text)):
            yield "value", f"writes {strange!r} down, a word that the file does not use"
        elif (
            not is_pattern
            and not in_error
            and (len(text) > LONGEST or not WORDS.fullmatch(text) or SPECIAL.search(text))
        ):
            yield "value", f"writes {text[:40]!r} down, which is more than plain words"


def _words(tree: ast.Module) -> frozenset[str]:
    """Every word of the names and texts of a file."""
    said: set[str] = set()
    for node in ast.walk(tree):
        for value in (getattr(node, field, None) for field in ("id", "attr", "arg", "name", "value")):
            if isinstance(value, str):
                said.update(one.casefold() for one in WORD.findall(value))
    return frozenset(said)


def _names_a_runner(text: str, *, in_condition: bool) -> bool:
    low = text.casefold()
    return any(one in low or (in_condition and len(low) >= TELLING and low in one) for one in RUNNERS)


def numbers(nodes: Collection[ast.AST]) -> list[float]:
    """The numbers in these nodes, but for the indexes 0 and 1."""
    every = [node for top in nodes for node in ast.walk(top)]
    indexes = {id(node.slice) for node in every if isinstance(node, ast.Subscript)}
    return [
        node.value
        for node in every
        if isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
        and not (id(node) in indexes and node.value in (0, 1))
    ]
