"""Which tests a repairer is not shown, and how they are taken out of the files. Pure."""

from __future__ import annotations

import ast
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from governance.repair.spans import Function, first_line
from governance.verification.evidence import function_of
from ledger.python_source import parse_or_why


def half_of(tests: Collection[str], seed: str) -> frozenset[str]:
    """Half of the test functions, to be hidden; at least one is left to be shown. Same seed, same half."""
    rows = sorted({function_of(test) for test in tests})
    random.Random(seed).shuffle(rows)
    return frozenset(rows[: len(rows) // 2])


def by_file(tests: Iterable[str]) -> dict[str, set[str]]:
    """File to the functions in it (``Class::function``)."""
    found: dict[str, set[str]] = defaultdict(set)
    for test in tests:
        file, _, name = test.partition("::")
        found[file].add(name)
    return dict(found)


def without(source: str, names: Collection[str]) -> str:
    """A test file without the named functions (``Class::function``); a class that is left empty keeps ``pass``.

    Raises ``SyntaxError`` for text that does not parse.
    """
    tree, lines = parse_or_why(source), source.splitlines(keepends=True)
    if isinstance(tree, str):
        raise SyntaxError(tree)
    bodies: Mapping[str, list[ast.stmt]] = {
        "": tree.body,
        **{f"{n.name}::": n.body for n in tree.body if isinstance(n, ast.ClassDef)},
    }
    gone: list[tuple[int, int, str]] = []
    for prefix, body in bodies.items():
        chosen = [node for node in body if isinstance(node, Function) and f"{prefix}{node.name}" in names]
        for number, node in enumerate(chosen):
            first = first_line(node)
            empty = bool(prefix) and len(chosen) == len(body) and number == 0
            gone.append((first, node.end_lineno or first, f"{' ' * node.col_offset}pass\n" if empty else ""))
    for first, last, instead in sorted(gone, reverse=True):
        lines[first - 1 : last] = [instead] if instead else []
    return "".join(lines)
