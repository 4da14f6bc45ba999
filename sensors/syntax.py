"""Python files as syntax trees. Pure."""

from __future__ import annotations

import ast
import warnings


def parsed(data: bytes) -> ast.Module | None:
    """The syntax tree; None where there is none. Never warns."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
