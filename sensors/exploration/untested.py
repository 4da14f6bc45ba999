"""Public functions that no test names, ordered by nearness to past failures. Pure."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from ledger.events.op import OutcomeRecorded
from sensors.exploration.pinning import mutants_of
from sensors.python_source.complexity import complexities
from sensors.python_source.docstrings import public_symbols
from sensors.python_source.syntax import is_own_python, is_test, parse_python

WORD = re.compile(rb"[A-Za-z_][A-Za-z_0-9]*")
OWN, NEXT = 2, 1
"""Nearness of a file that had failures, and of one that imports such a file or is imported by it."""


class UntestedFunction(NamedTuple):
    """A function without a test. ``near``: ``OWN`` or ``NEXT``; ``failures``: how many the nearest file had."""

    path: str
    symbol: str
    body: str
    near: int
    failures: int
    complexity: int


def failures_in(ends: Iterable[OutcomeRecorded]) -> dict[str, int]:
    """Number of ended ops per program file: each repaired a failure in it, or failed to."""
    counted: Counter[str] = Counter()
    for end in ends:
        counted.update({path for path in end.files if is_own_python(path) and not is_test(path)})
    return dict(counted)


def module_of(path: str) -> str:
    """``shop.cart`` of ``src/shop/cart.py``."""
    parts = list(PurePosixPath(path).with_suffix("").parts)
    parts = parts[1:] if parts and parts[0] == "src" else parts
    return ".".join(parts[:-1] if parts and parts[-1] == "__init__" else parts)


def imports_of(path: str, data: bytes) -> frozenset[str]:
    """The modules that a file may import; in ``from a import b``, ``b`` may be a module or a name."""
    tree = parse_python(data)
    found: set[str] = set()
    package = module_of(path).split(".") if path.endswith("__init__.py") else module_of(path).split(".")[:-1]
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.update((base, *(f"{base}.{name.name}" for name in node.names)))
    return frozenset(found)


def nearness(files: Mapping[str, bytes], failed: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Nearness and number of failures of each file that had failures or is tied to one by an import."""
    imports = {path: imports_of(path, data) for path, data in files.items()}
    near: dict[str, tuple[int, int]] = {}
    for path in files:
        tied = [f for f in failed if f != path and f in files and _tied(path, f, imports)]
        if path in failed:
            near[path] = (OWN, failed[path])
        elif tied:
            near[path] = (NEXT, max(failed[f] for f in tied))
    return near


def _tied(one: str, other: str, imports: Mapping[str, frozenset[str]]) -> bool:
    return module_of(other) in imports[one] or module_of(one) in imports[other]


def find_untested(
    files: Mapping[str, bytes], tests: Mapping[str, bytes], failed: Mapping[str, int], *, least_lines: int
) -> tuple[UntestedFunction, ...]:
    """Public functions whose names occur in no test file, those nearest to failures first."""
    named = {word.decode() for data in tests.values() for word in WORD.findall(data)}
    found: list[UntestedFunction] = []
    for path, (near, failures) in nearness(files, failed).items():
        values = complexities(files[path]) or {}
        for public in public_symbols(files[path]):
            fits = public.name in values and public.lines >= least_lines and public.name not in named
            if fits and mutants_of(files[path], public.name):
                found.append(UntestedFunction(path, public.name, public.body, near, failures, values[public.name]))
    return tuple(sorted(found, key=lambda p: (-p.near, -p.failures, -p.complexity, p.path, p.symbol)))


def file_for_tests(function: UntestedFunction, tests: Sequence[str]) -> str | None:
    """A new file for the function's tests, in the folder with most tests; None if it exists or there are no tests."""
    folders = Counter(str(PurePosixPath(path).parent) for path in tests if PurePosixPath(path).name.startswith("test_"))
    if not folders:
        return None
    folder = min(folders, key=lambda each: (-folders[each], each))
    path = str(PurePosixPath(folder) / f"test_{module_of(function.path).replace('.', '_')}_{function.symbol}.py")
    return None if path in tests else path
