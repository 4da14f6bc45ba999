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


class UntestedFunction(NamedTuple):
    """A function without a test. ``near``: 2 in a file that had failures, 1 in a file related to one."""

    path: str
    symbol: str
    body: str
    near: int
    failures: int
    complexity: int


def failures_in(ends: Iterable[OutcomeRecorded]) -> dict[str, int]:
    """How often the ends of ops name each program file: a failure was repaired there, or could not be."""
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
    """The modules that a file may import by its statements; a name from a package may be a module of it."""
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
    """Of each file that is near a failure: how near, and how many failures there were."""
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


def places(
    files: Mapping[str, bytes], tests: Mapping[str, bytes], failed: Mapping[str, int], *, least_lines: int
) -> tuple[UntestedFunction, ...]:
    """Public functions of modules that no test file so much as names, the nearest to failures first."""
    named = {word.decode() for data in tests.values() for word in WORD.findall(data)}
    found: list[UntestedFunction] = []
    for path, (near, failures) in nearness(files, failed).items():
        values = complexities(files[path]) or {}
        for public in public_symbols(files[path]):
            fits = public.name in values and public.lines >= least_lines and public.name not in named
            if fits and mutants_of(files[path], public.name):
                found.append(UntestedFunction(path, public.name, public.body, near, failures, values[public.name]))
    return tuple(sorted(found, key=lambda p: (-p.near, -p.failures, -p.complexity, p.path, p.symbol)))


def file_for_tests(place: UntestedFunction, tests: Sequence[str]) -> str | None:
    """Where tests of a function are to be written: a new file where most tests lie. None where there are none."""
    folders = Counter(str(PurePosixPath(path).parent) for path in tests if PurePosixPath(path).name.startswith("test_"))
    if not folders:
        return None
    folder = min(folders, key=lambda each: (-folders[each], each))
    path = str(PurePosixPath(folder) / f"test_{module_of(place.path).replace('.', '_')}_{place.symbol}.py")
    return None if path in tests else path
