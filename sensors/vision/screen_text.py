"""Errors of this repository in text that was read off a screen. Pure; the text is data.

Reading makes mistakes: underscores vanish, quotes curl, letters change case. So a path or a test is looked for among
those that are there, and counts when exactly one is meant.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from ledger.vocabulary import Frozen
from sensors.python_source.syntax import parse_python

MOST_CHARS, MOST_LINES, LINE_CHARS = 60_000, 2_000, 400
MOST_FRAMES, MOST_TESTS, ERROR_CHARS = 20, 5, 200
FOREIGN = frozenset({"site-packages", "dist-packages", "node_modules", "lib", "lib64", "usr"})
_QUOTES = str.maketrans(dict.fromkeys("“”„«»‘’‚`´", '"') | {"—": "-", "–": "-", "\u00a0": " ", "\\": "/"})
_PATH = r"[\w.@+~/ -]{0,200}?[\w@-]"
_PYTHON = re.compile(
    rf"\bFile\s*[\"']{{0,2}}\s*({_PATH}\s?\.\s?pyi?)\s*[\"']{{0,2}},?\s*line\s*(\d{{1,6}})", re.IGNORECASE
)
_TEST_ID = re.compile(rf"({_PATH}\.py)\s?::\s?([\w: ]{{1,200}})")
_FAILED = re.compile(r"^\s*(?:FAILED|ERROR)\s+")
_AT = re.compile(rf"^\s*({_PATH}\.py):(\d{{1,6}}):\s*(\w*(?:Error|Exception)\b.*)?$")
_SCRIPT = re.compile(rf"({_PATH}\.(?:[mc]?[jt]sx?|vue|svelte))(?:\?[^\s:)]{{0,80}})?:(\d{{1,6}}):\d{{1,6}}")
_ERROR = re.compile(
    r"^\s*(?:E\s+|Uncaught\s+(?:\(in promise\)\s*)?)?"
    r"((?:[A-Za-z_]\w*\.){0,6}[A-Za-z_]\w*(?:Error|Exception|Warning|Interrupt|Exit|Iteration))\b(?::\s*(.*))?$"
)


class ScreenPlace(Frozen):
    """A line of a file of the repository."""

    path: str
    line: int


class ScreenError(Frozen):
    """An error on a screen: ``error`` is its type and message, ``places`` where, the likeliest first;
    ``tests`` are pairs of a file that is there and a test's name as it was read."""

    error: str
    places: tuple[ScreenPlace, ...] = ()
    tests: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        return self.places[0].path if self.places else self.tests[0][0]

    @property
    def kind(self) -> str:
        return self.error.partition(":")[0]


def loose(name: str) -> str:
    """What is left of a name when reading has made its usual mistakes."""
    return "".join(c for c in name.lower() if c.isalnum() or c in "/.")


class Paths:
    """The files of a tree, as they may be read off a screen. ``top`` is the name of the checkout's folder."""

    def __init__(self, files: Collection[str], top: str) -> None:
        self._files = frozenset(files)
        self._top = loose(top)
        self._loose: dict[str, str] = {}
        for path in files:  # "" where two files look the same
            self._loose[loose(path)] = "" if loose(path) in self._loose else path

    def find(self, read: str) -> str | None:
        """The file that is meant: the end of what was read is its whole path."""
        parts = [part.strip() for part in re.sub(r"^\w+://[^/]*", "", read).split("/")]
        parts = [part for part in parts if part not in ("", ".")]
        if not parts or ".." in parts:
            return None
        for start in range(len(parts)):
            found = self._whole(parts[start:])
            if found is None:
                continue
            before = parts[:start]
            if not before or not self._is_foreign(before, alone=start == len(parts) - 1):
                return found
        return None

    def _whole(self, parts: Sequence[str]) -> str | None:
        path = "/".join(parts)
        return path if path in self._files else self._loose.get(loose(path)) or None

    def _is_foreign(self, before: Sequence[str], *, alone: bool) -> bool:
        """Of a path that leads to it from elsewhere: a bare name is anybody's but in a folder called as ours."""
        if loose(before[-1]) == self._top:
            return False
        return alone or not FOREIGN.isdisjoint(before)


def recognise(text: str, files: Collection[str], *, top: str) -> ScreenError | None:
    """The error that a text shows, when it is one of this repository."""
    lines = [line[:LINE_CHARS] for line in text[:MOST_CHARS].translate(_QUOTES).splitlines()[:MOST_LINES]]
    paths = Paths(files, top)
    error = _error(lines)
    tests = tuple(_tests(lines, paths))[:MOST_TESTS]
    python = [*_places(lines, _PYTHON, paths), *_places(lines, _AT, paths)]
    scripts = list(_places(lines, _SCRIPT, paths)) if error else []
    places = (*reversed(python), *scripts)[:MOST_FRAMES]  # Python names the telling frame last, JavaScript first
    if tests or (places and error):
        return ScreenError(error=error or "a test fails", places=places, tests=tests)
    return None


def _error(lines: Sequence[str]) -> str:
    """The last line that names an error by itself, in printable words."""
    for line in reversed(lines):
        beside = _AT.match(line)  # pytest names the kind of error behind the place
        match = _ERROR.match((beside[3] or "") if beside else line)
        if match:
            said = f"{match[1]}: {match[2]}" if match[2] else match[1]
            return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:ERROR_CHARS]
    return ""


def _places(lines: Sequence[str], shape: re.Pattern[str], paths: Paths) -> Iterator[ScreenPlace]:
    seen: set[ScreenPlace] = set()
    for line in lines:
        for match in shape.finditer(line):
            path = paths.find(match[1])
            place = ScreenPlace(path=path, line=int(match[2])) if path is not None else None
            if place is not None and place not in seen:
                seen.add(place)
                yield place


def _tests(lines: Sequence[str], paths: Paths) -> Iterator[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    for line in lines:
        for match in _TEST_ID.finditer(_FAILED.sub("", line)):
            path = paths.find(match[1])
            test = (path, match[2].partition(" - ")[0].strip(" :")) if path is not None else None
            if test is not None and test[1] and test not in seen:
                seen.add(test)
                yield test


def real_tests(tests: Sequence[tuple[str, str]], files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Ids of the tests that are meant, of those that the files define."""
    found: list[str] = []
    for path, name in tests:
        tree = parse_python(files[path]) if path in files else None
        there = list(_defined(tree)) if tree is not None else []
        exact = [each for each in there if each == name]
        meant = exact or [each for each in there if loose(each) == loose(name)]
        found += [f"{path}::{meant[0]}"] if len(meant) == 1 else []
    return tuple(dict.fromkeys(found))


def _defined(node: ast.AST, prefix: str = "") -> Iterator[str]:
    for child in getattr(node, "body", ()):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and child.name.startswith("test"):
            yield f"{prefix}{child.name}"
        elif isinstance(child, ast.ClassDef):
            yield from _defined(child, f"{prefix}{child.name}::")
