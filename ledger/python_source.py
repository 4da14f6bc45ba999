"""Bounded parsing of untrusted Python source: the only module that calls ``ast.parse`` outside the sandbox."""

from __future__ import annotations

import ast
import re
import sys
import threading
import warnings

MOST_BYTES = 1024 * 1024
"""Larger source is not parsed: a tree takes up to 900 times the memory of its text, and parsing holds the GIL."""
_TURN = threading.Lock()
"""Serialises parsing: threads share the parser's recursion counter (CPython 3.11) and the warning filters."""

_LONG = re.compile(r"[0-9a-fA-F_]{3500}")
"""A number that may be too long for ``str()``. With fewer digits it never is, in any base."""
_LONG_BYTES = re.compile(_LONG.pattern.encode())
_OTHER = re.compile(rb"coding[:=][ \t]*(?!utf-?8|latin-?1|iso-8859|ascii|us-ascii)", re.IGNORECASE)
"""A declared encoding in which digits may be other bytes than in ASCII."""


def parse(data: bytes | str) -> ast.Module | None:
    """The syntax tree, or None when the source cannot be parsed. Never raises, never warns."""
    found = parse_or_why(data)
    return found if isinstance(found, ast.Module) else None


def parse_or_why(data: bytes | str) -> ast.Module | str:
    """The syntax tree, or the reason why there is none, as a clause.

    Refused are syntax errors, bytes that no source may hold, more nesting than the parser supports (which it reports
    as ``MemoryError`` or ``RecursionError``), more than ``MOST_BYTES``, and integers too long for ``str()``: so
    ``ast.unparse`` and ``ast.dump`` work on every tree that is returned.
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
    """True for an integer too long for ``str()``, which raises before it converts anything."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, int):
        return False
    try:
        str(node.value)
    except ValueError:
        return True
    return False
