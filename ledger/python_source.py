"""The one way in which the product parses Python that it has not written itself."""

from __future__ import annotations

import ast
import re
import sys
import threading
import warnings

MOST_BYTES = 1024 * 1024
"""What is larger is data. A tree takes up to nine hundred times its text, and no other thread runs meanwhile."""
_TURN = threading.Lock()
"""One text at a time: threads share the interpreter's count of how deep it is (CPython 3.11), and its warnings."""

_LONG = re.compile(r"[0-9a-fA-F_]{3500}")
"""Digits of a number that Python reads and may not show: fewer are shown, to whatever base they are written."""
_LONG_BYTES = re.compile(_LONG.pattern.encode())
_OTHER = re.compile(rb"coding[:=][ \t]*(?!utf-?8|latin-?1|iso-8859|ascii|us-ascii)", re.IGNORECASE)
"""An encoding in which digits may be other bytes."""


def parse(data: bytes | str) -> ast.Module | None:
    """The syntax tree, or None when there is none. Never raises, never warns."""
    found = parse_or_why(data)
    return found if isinstance(found, ast.Module) else None


def parse_or_why(data: bytes | str) -> ast.Module | str:
    """The syntax tree, or a clause that says why there is none.

    A text can be no Python, hold a byte that no source may hold, or be nested more deeply than the parser goes, which
    it says as a full memory or a full stack. One that is too large is not parsed, and one with a number that Python
    refuses to write in decimal digits counts as none: every tree can be written (``ast.unparse``, ``ast.dump``).
    """
    if len(data) > MOST_BYTES:
        return f"it has more than {MOST_BYTES} bytes"
    try:
        with _TURN, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg
    except ValueError as error:
        return str(error)
    except (RecursionError, MemoryError):
        return "it is nested too deeply to be parsed"
    if _may_be_long(data) and any(_is_long(node) for node in ast.walk(tree)):
        return f"it has a number of more than {sys.get_int_max_str_digits()} digits"
    return tree


def _may_be_long(data: bytes | str) -> bool:
    if isinstance(data, str):
        return _LONG.search(data) is not None
    return _LONG_BYTES.search(data) is not None or _OTHER.search(data) is not None


def _is_long(node: ast.AST) -> bool:
    """Whether a node is a number that is not shown; Python says so before it begins to work it out."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, int):
        return False
    try:
        str(node.value)
    except ValueError:
        return True
    return False
