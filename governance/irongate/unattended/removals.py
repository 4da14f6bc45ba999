"""What a change takes away: decorators (and puts on), and calls that are made for what they do. Pure."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator

from governance.irongate.unattended.tables import STATEFUL
from governance.irongate.unattended.units import Found, Function, fingerprint, functions

TELLING = frozenset({"print", "warn", "debug", "info", "warning"})
"""Calls that only tell something."""
PLAIN = frozenset({"property", "staticmethod", "classmethod"})


def taken_away(old: ast.Module, new: ast.Module) -> Iterator[Found]:
    """Decorators that are gone, and statements that call something and are gone from a function that stays."""
    before, after = dict(functions(old)), dict(functions(new))
    for scope, node in before.items():
        there = after.get(scope)
        if there is None or fingerprint(there) == fingerprint(node):
            continue
        had, has = (Counter(map(ast.unparse, one.decorator_list)) for one in (node, there))
        yield from (("decorator", f"takes @{gone} off {scope}") for gone in had - has)
        yield from (("decorator", f"puts @{new} on {scope}") for new in has - had if new not in PLAIN)
        for what in _gone(node, there):
            yield "removal", f"takes {what} out of {scope}"


def _gone(before: Function, after: Function) -> Iterator[str]:
    """Calls whose result nobody used, and of which the new function calls nothing any more."""
    still = Counter(fingerprint(node.func) for node in ast.walk(after) if isinstance(node, ast.Call))
    made = {node.id for node in ast.walk(before) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(before):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
            call = node.value.value if isinstance(node.value, ast.Await) else node.value
            if isinstance(call, ast.Call) and not (_tells(call) or _fills(call, made) or still[fingerprint(call.func)]):
                yield f"{ast.unparse(call.func)}()"
        elif isinstance(node, ast.With | ast.AsyncWith):
            kept = {fingerprint(item.context_expr) for inner in ast.walk(after)
                    if isinstance(inner, ast.With | ast.AsyncWith) for item in inner.items}  # fmt: skip
            for item in node.items:
                if fingerprint(item.context_expr) not in kept:
                    yield f"with {ast.unparse(item.context_expr)[:40]}"


def _fills(call: ast.Call, made: Collection[str]) -> bool:
    """Something is put into what the function makes itself."""
    func = call.func
    if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Name):
        return False
    return func.value.id in made and func.attr in STATEFUL


def _tells(call: ast.Call) -> bool:
    func = call.func
    return (func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")) in TELLING
