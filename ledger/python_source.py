"""The one way in which the product parses Python that it has not written itself."""

from __future__ import annotations

import ast
import threading
import warnings

MOST_BYTES = 1024 * 1024
"""What is larger is data. A tree takes up to nine hundred times its text, and no other thread runs meanwhile."""
_TURN = threading.Lock()
"""One text at a time: threads share the interpreter's count of how deep it is (CPython 3.11), and its warnings."""


def parse(data: bytes | str) -> ast.Module | None:
    """The syntax tree, or None when there is none. Never raises, never warns."""
    found = parse_or_why(data)
    return found if isinstance(found, ast.Module) else None


def parse_or_why(data: bytes | str) -> ast.Module | str:
    """The syntax tree, or a clause that says why there is none.

    A text can be no Python, hold a byte that no source may hold, or be nested more deeply than the parser goes, which
    it says as a full memory or a full stack. One that is too large is not parsed.
    """
    if len(data) > MOST_BYTES:
        return f"it has more than {MOST_BYTES} bytes"
    try:
        with _TURN, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg
    except ValueError as error:
        return str(error)
    except (RecursionError, MemoryError):
        return "it is nested too deeply to be parsed"
