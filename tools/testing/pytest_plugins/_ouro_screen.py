"""Tries many small changes of functions in one loaded program. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed inside the sandbox. Once the tests are collected the process forks for every change; the
child replaces the code of the changed function and runs the tests. Nothing is imported again, so a change costs a fork
and its tests. A pass is a hint only: code that runs at import has not run again, and files are shared by all children.
The search runs every variant that passes here in a process of its own.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import gc
import os
import select
import signal
import struct
import time
import types
from collections.abc import Iterator
from typing import Any

import pytest

FUTURES = 0
for _name in __future__.all_feature_names:
    FUTURES |= getattr(__future__, _name).compiler_flag
FLOOR_S, SLOWER = 0.2, 5
"""With a change the tests may compute as long as the first, and so many times as long as without one: many small edits
make a loop that does not end, and each of these costs this much."""
WAIT_S = 5
"""By the clock, in such limits: on a busy machine, and where a test sleeps."""
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
# A test may put something else in their place.
_fork, _clock, _kill, _leave = os.fork, time.monotonic, os.kill, os._exit
FOREVER_S = 3_600.0
Key = tuple[str, str, int]


class Text:
    """A file of the repository as it was loaded."""

    def __init__(self, path: str) -> None:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123
            self.text = file.read()
        self._starts = [0]
        for line in self.text.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._body = ast.parse(self.text).body

    def start(self, line: int) -> int:
        return self._starts[line - 1]

    def end(self, line: int) -> int:
        return self._starts[line] - 1

    def offset(self, line: int, column: int) -> int:
        """``ast`` columns are bytes."""
        text = self.text[self.start(line) : self.end(line)]
        return self.start(line) + len(text.encode("utf-8")[:column].decode("utf-8", "ignore"))

    def around(self, start: int, end: int) -> tuple[list[ast.ClassDef], Any] | None:
        """The outermost function whose body contains ``start..end``, and its classes."""
        classes: list[ast.ClassDef] = []
        body: list[Any] = self._body
        while True:
            node = next((n for n in body if self.start(top(n)) <= start and end <= self.end(n.end_lineno)), None)
            if isinstance(node, _FUNCTION):
                return (classes, node) if self._inside(node, start) else None
            if isinstance(node, ast.ClassDef):
                classes.append(node)
            if node is None or not isinstance(getattr(node, "body", None), list):
                return None
            body = [child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, ast.ExceptHandler))]

    def _inside(self, node: Any, start: int) -> bool:
        first = node.body[0]
        begin = self.offset(first.lineno, first.col_offset)
        line: int = self.start(first.lineno)
        return start >= (begin if self.text[line:begin].strip() else line)


def top(node: Any) -> int:
    """Decorators included."""
    return int(min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]))


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from codes(const)


def compiled(
    text: Text, place: tuple[list[ast.ClassDef], Any], edit: tuple[int, int, str], flags: int
) -> types.CodeType | None:
    """The code of the function at ``place`` (see :meth:`Text.around`) with the edit made; None where it is not found.

    Raises SyntaxError and ValueError where that is no program.
    """
    start, end, new = edit
    classes, node = place
    first, last = text.start(top(node)), text.end(node.end_lineno)
    chunk = text.text[first:start] + new + text.text[end:last]
    deep = bool(node.col_offset)
    body: Any = ast.parse(f"if 1:\n{chunk}\n" if deep else f"{chunk}\n").body
    body = body[0].body if deep and len(body) == 1 else body
    if len(body) != 1 or type(body[0]) is not type(node) or body[0].name != node.name:
        raise SyntaxError("the function is another one")
    changed = ast.increment_lineno(body[0], top(node) - 1 - deep)
    line = changed.lineno  # without its decorators it begins where it is defined
    changed.decorator_list = []
    for one in reversed(classes):
        changed = ast.copy_location(type(one)(**{**dict(ast.iter_fields(one)), **PLAIN, "body": [changed]}), one)
    module = ast.Module(body=[changed], type_ignores=[])
    whole = compile(module, "<screen>", "exec", flags=flags & FUTURES, dont_inherit=True)
    return next((c for c in codes(whole) if (c.co_name, c.co_firstlineno) == (node.name, line)), None)


PLAIN: dict[str, Any] = {"bases": [], "keywords": [], "decorator_list": []}


class Screener:
    """The pytest plugin. ``asked``: ``edits`` (path, first and last character, text), ``lengths`` of the files."""

    def __init__(self, reporter: Any, project: Any, asked: dict[str, Any]) -> None:
        self._reporter, self._project, self._edits = reporter, project, asked["edits"]
        self._until = _clock() + asked["until_s"]
        self._texts = {path: self._read(path, length) for path, length in asked["lengths"].items()}
        self._bad: set[str] = set()
        self._computed = 0.0  # seconds of processor time, by the child that ended last

    def _read(self, path: str, length: int) -> Text | None:
        try:
            text = Text(path)
        except (OSError, SyntaxError, ValueError):
            return None
        return text if len(text.text) == length else None

    # What a child has seen of each test.

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed or hasattr(report, "wasxfail") or report.skipped:
            self._bad.add(report.nodeid)

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        """Whether it passed; no text of how it failed, which takes longer than most tests.

        After the plugin for unittest has looked, before the runner's own.
        """
        outcome, why = "passed", None  # type: str, Any
        if call.excinfo is not None:
            outcome = "skipped" if call.excinfo.errisinstance(pytest.skip.Exception) else "failed"
            why = ("", 0, outcome)
        keywords, make_report = dict.fromkeys(item.keywords, 1), pytest.TestReport  # type: Any, Any
        return make_report(item.nodeid, item.location, keywords, outcome, why, call.when)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool | None:
        items = session.items
        if not items or session.testsfailed:
            return None
        functions = self._functions()
        gc.freeze()  # a collection in a child would copy all that is in memory
        began = _clock()
        passed = self._forked(items, None, FOREVER_S, self._until - began)
        if passed is None or passed:  # unchanged, they fail and do not hang: else nothing can be decided
            return True
        limit, wait = FLOOR_S + SLOWER * self._computed, WAIT_S * FLOOR_S + SLOWER * (_clock() - began)
        for number, (path, start, end, new) in enumerate(self._edits):
            left = self._until - _clock()
            if left <= 0:
                break
            swaps = self._swaps(path, (start, end, new), functions)
            if swaps is not None:
                passed = self._forked(items, swaps, limit, min(wait, left)) if swaps else None
                self._reporter.emit("screened", i=number, passed=sorted(passed or ()))
        return True

    def _functions(self) -> dict[Key, list[types.FunctionType]]:
        """The repository's functions that are in memory, by path, name and first line."""
        found: dict[Key, list[types.FunctionType]] = {}
        for one in gc.get_objects():
            if type(one) is types.FunctionType:
                path = self._project.relative(one.__code__.co_filename)
                if path in self._texts:
                    found.setdefault(key(path, one.__code__), []).append(one)
        return found

    def _swaps(
        self, path: str, edit: tuple[int, int, str], functions: dict[Key, list[types.FunctionType]]
    ) -> list[tuple[types.FunctionType, types.CodeType]] | None:
        """Functions and their new code; empty when it does not compile; None when undecided."""
        text = self._texts[path]
        if text is None:
            return None
        place = text.around(edit[0], edit[1])
        if place is None:
            return None
        known = functions.get((path, place[1].name, top(place[1])))
        if not known:
            return None
        old = known[0].__code__
        try:
            made = compiled(text, place, edit, old.co_flags)
        except (SyntaxError, ValueError):
            return []
        return None if made is None else pairs(path, old, made, functions)

    def _forked(self, items: list[Any], swaps: Any, limit: float, wait: float) -> list[int] | None:
        """Which of the tests pass in a child that may compute for ``limit`` seconds; None when it was ended."""
        ready, say = os.pipe()
        pid = _fork()
        if not pid:
            try:
                os.setpgid(0, 0)
                os.close(ready)
                signal.signal(signal.SIGPROF, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_PROF, limit)
                self._child(items, swaps or (), say)
            finally:
                _leave(0)
        os.close(say)
        try:
            return unpacked(read(ready, _clock() + wait))
        finally:
            os.close(ready)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                _kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                used = os.wait4(pid, 0)[2]
                self._computed = used.ru_utime + used.ru_stime

    def _child(self, items: list[Any], swaps: Any, say: int) -> None:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        manager = items[0].config.pluginmanager
        if manager.has_plugin("assertion"):  # it says how two values differ: at length, and to nobody
            manager.unregister(name="assertion")
        for function, code in swaps:
            function.__code__ = code
        passed = []
        for number, item in enumerate(items):
            following = items[number + 1] if number + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if item.nodeid not in self._bad:
                passed.append(number)
        os.write(say, struct.pack(f"<I{len(passed)}I", len(passed), *passed))


def key(path: str, code: types.CodeType) -> Key:
    return path, code.co_name, code.co_firstlineno


def pairs(
    path: str, old: types.CodeType, new: types.CodeType, functions: dict[Key, list[types.FunctionType]]
) -> list[tuple[types.FunctionType, types.CodeType]] | None:
    """The functions of ``old``, and those that it has made already, with their new code; None where one cannot be."""
    found = []
    for function in functions.get(key(path, old), ()):
        if function.__code__.co_freevars != new.co_freevars:
            return None
        found.append((function, new))
    inner = [[c for c in code.co_consts if isinstance(c, types.CodeType)] for code in (old, new)]
    if [c.co_name for c in inner[0]] == [c.co_name for c in inner[1]]:
        for one, other in zip(*inner):  # noqa: B905  (equal lengths; an argument of later Pythons)
            made = pairs(path, one, other, functions)
            if made is None:
                return None
            found += made
    return found


def read(ready: int, end: float) -> bytes:
    """Output of a child until it ends, or until time ``end``."""
    data = b""
    poll = select.poll()
    poll.register(ready, select.POLLIN)
    while poll.poll(max(0, int((end - _clock()) * 1000))):
        more = os.read(ready, 65536)
        if not more:
            return data
        data += more
        if len(data) >= 4 and len(data) >= 4 + 4 * struct.unpack("<I", data[:4])[0]:
            return data
    return data


def unpacked(data: bytes) -> list[int] | None:
    if len(data) < 4 or len(data) != 4 + 4 * struct.unpack("<I", data[:4])[0]:
        return None
    return list(struct.unpack(f"<{len(data) // 4 - 1}I", data[4:]))


make = Screener
