"""Python files as syntax trees. Pure."""

from __future__ import annotations

import ast

from ledger.python_source import parse


def parsed(data: bytes) -> ast.Module | None:
    """The syntax tree; None where there is none. Never warns."""
    return parse(data)
