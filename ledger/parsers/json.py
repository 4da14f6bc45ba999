"""Bounded reader for untrusted JSON (:mod:`ledger.parsers`). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from ledger.parsers import UnreadableText

DEEPEST: Final = 100
MOST_DIGITS: Final = 300  # of a number: a longer integer fits no float and is slow to parse and to print

_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?|[\[\]{}]|[0-9]++', re.DOTALL)
_DIGITS: Final = re.compile(f"[0-9]{{{MOST_DIGITS + 1}}}")


def read_json(
    text: str | bytes,
    *,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    constant: Callable[[str], Any] | None = None,
) -> Any:
    """The value of a JSON text. Raises ``UnreadableText``.

    ``pairs`` builds the value of an object from its members, ``constant`` that of ``NaN`` and the infinities, which
    are refused without it. Both may raise ``ValueError``.
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise UnreadableText("it is not UTF-8") from error
    _count(text)
    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant or _refuse)
    except json.JSONDecodeError as error:
        why = f"{error.msg} (line {error.lineno}, column {error.colno})"
        raise UnreadableText(f"it is not valid JSON: {why}") from error
    except (ValueError, RecursionError) as error:  # from a hook; when called on a deep stack
        raise UnreadableText(str(error)) from error


def _count(text: str) -> None:
    """Raises ``UnreadableText`` for nesting and numbers beyond the limits. Most texts pass without a token scan."""
    if text.count("[") + text.count("{") <= DEEPEST and _DIGITS.search(text) is None:
        return
    depth = 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in "[{":
            depth += 1
            if depth > DEEPEST:
                raise UnreadableText(f"its brackets are nested deeper than {DEEPEST}")
        elif token in "]}":
            depth -= 1
        elif len(token) > MOST_DIGITS and token[0] != '"':
            raise UnreadableText(f"it has a number of more than {MOST_DIGITS} digits")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"it has {name}, which is no JSON number")
