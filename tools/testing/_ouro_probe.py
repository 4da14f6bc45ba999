"""Calls functions with inputs that no test gives them. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed inside the sandbox. Where a test calls a wanted function the process forks; the child
calls it with changed copies of the arguments, so that nothing of that reaches the test. What comes of each call is told
as text, the same text in every process: two versions of a function can be compared by it.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import hashlib
import inspect
import itertools
import json
import os
import random
import re
import select
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CALLS, CALLS_OF_A_TEST, INPUTS = 24, 4, 12
"""Calls of the tests that are looked at, and changed inputs for each."""
CALL_S, CHILD_S = 0.25, 2.0
TEXT, DEPTH, ITEMS = 240, 4, 50
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_CHILD_BYTES = 1 << 18
# A test may put something else in their place.
_fork, _clock, _waitpid, _kill, _leave = os.fork, time.monotonic, os.waitpid, os.kill, os._exit


class Slow(BaseException):
    """A call takes too long."""


class Prober:
    """The pytest plugin. ``wanted``: path inside the repository and first line of a function, decorators included."""

    def __init__(self, reporter: Any, project: Any, wanted: list[list[Any]]) -> None:
        self._reporter, self._project = reporter, project
        self._wanted = {(path, line) for path, line in wanted}
        self._functions: dict[types.CodeType, types.FunctionType | None] = {}
        self._pid, self._left, self._test = os.getpid(), CALLS, ""
        self._count = 0

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: Any) -> Iterator[None]:
        self._test, self._count = item.nodeid, 0
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)

    def _enter(self, frame: Any, event: str, arg: Any) -> None:
        code = frame.f_code
        if code not in self._functions:
            self._functions[code] = self._function(code)
        function = self._functions[code]
        if function is None or os.getpid() != self._pid or self._left <= 0 or self._count >= CALLS_OF_A_TEST:
            return
        self._left -= 1
        self._count += 1
        rows = self._asked(function, dict(frame.f_locals))
        if rows:
            self._reporter.emit("probe", id=self._test, call=self._count, rows=rows)

    def _function(self, code: types.CodeType) -> types.FunctionType | None:
        """The function of this code, when it is a wanted one that can simply be called."""
        path = self._project.relative(code.co_filename)
        if (path, code.co_firstlineno) not in self._wanted or code.co_flags & inspect.CO_COROUTINE:
            return None
        if set(code.co_freevars) - {"__class__"}:
            return None  # made anew in each call of another one: which of them is meant cannot be told
        found = (one for one in gc.get_referrers(code) if isinstance(one, types.FunctionType) and one.__code__ is code)
        return next(found, None)

    def _asked(self, function: types.FunctionType, given: dict[str, Any]) -> list[tuple[str, str]]:
        """What a child process says, as far as it gets in its time."""
        ready, say = os.pipe()
        pid = _fork()
        if not pid:
            try:
                os.close(ready)
                sys.settrace(None)
                answer(function, given, say)
            finally:
                _leave(0)
        os.close(say)
        data, end = b"", _clock() + CHILD_S
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        while len(data) < _CHILD_BYTES and poll.poll(max(0, int((end - _clock()) * 1000))):
            more = os.read(ready, 65536)
            if not more:
                break
            data += more
        os.close(ready)
        with contextlib.suppress(ProcessLookupError):
            _kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            _waitpid(pid, 0)
        return [json.loads(line) for line in data.split(b"\n")[:-1]]


def answer(function: types.FunctionType, given: dict[str, Any], out: int) -> None:
    """Call ``function`` with changed copies of what it was ``given``; for each a JSON line: the input, the outcome."""
    signal.signal(signal.SIGALRM, _slow)
    names = parameters(function.__code__)
    if not given.keys() >= set(names):
        return
    told = {f"{function.__name__}({written(given, names)})"}
    kinds = [(name, value) for name in names for value in others(given[name])]
    random.Random(len(kinds)).shuffle(kinds)
    done = 0
    for name, value in kinds:
        if done >= INPUTS:
            return
        try:
            changed = copy.deepcopy({**{n: given[n] for n in names}, name: value})
        except Exception:  # noqa: BLE001  (what cannot be copied cannot be asked with)
            continue
        asked = f"{function.__name__}({written(changed, names)})"
        if asked in told:
            continue
        told.add(asked)
        done += 1
        line = json.dumps([asked, outcome(function, changed, names)]) + "\n"
        os.write(out, line.encode("ascii"))


def _slow(number: int, frame: Any) -> None:
    raise Slow


def parameters(code: types.CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return list(code.co_varnames[:count])


def called(function: types.FunctionType, given: dict[str, Any]) -> Any:
    code = function.__code__
    names, plain, only = code.co_varnames, code.co_argcount, code.co_kwonlyargcount
    positional = [given[name] for name in names[:plain]]
    keywords = {name: given[name] for name in names[plain : plain + only]}
    rest = names[plain + only :]
    if code.co_flags & inspect.CO_VARARGS:
        positional += given[rest[0]]
        rest = rest[1:]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        keywords.update(given[rest[0]])
    return function(*positional, **keywords)


def outcome(function: types.FunctionType, given: dict[str, Any], names: list[str]) -> str:
    """What a call gives, and how it leaves its arguments; or what it raises."""
    signal.setitimer(signal.ITIMER_REAL, CALL_S)
    try:
        before = {name: text(given[name]) for name in names}
        value = called(function, given)
        if isinstance(value, types.GeneratorType):
            value = list(itertools.islice(value, ITEMS))
        said = f"gives {text(value)}"
        changed = [f"{name} = {text(given[name])}" for name in names if text(given[name]) != before[name]]
        return shortened(", leaves ".join([said, *changed]))
    except Slow:
        return "does not end"
    except BaseException as error:  # noqa: BLE001  (whatever it raises is what is wanted here)
        return f"raises {type(error).__name__}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def written(given: dict[str, Any], names: list[str]) -> str:
    return shortened(", ".join(f"{name}={text(given[name])}" for name in names if name != "self"))


def shortened(said: str) -> str:
    """At most :data:`TEXT` characters; what is cut off still counts, by its digest."""
    if len(said) <= TEXT:
        return said
    return f"{said[:TEXT]}... ({hashlib.sha256(said.encode('utf-8', 'backslashreplace')).hexdigest()[:12]})"


def text(value: Any, depth: int = DEPTH) -> str:
    """A value in words that do not differ from process to process: no addresses, sets in order."""
    kind = type(value)
    if depth <= 0:
        return "..."
    if kind in (set, frozenset):
        return f"{kind.__name__}({', '.join(sorted(text(one, depth - 1) for one in value))})"
    if kind in (list, tuple):
        inside = ", ".join(text(one, depth - 1) for one in value)
        return f"[{inside}]" if kind is list else f"({inside})"
    if kind is dict:
        return "{" + ", ".join(f"{text(k, depth - 1)}: {text(v, depth - 1)}" for k, v in value.items()) + "}"
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict) and not any("__repr__" in vars(one) for one in kind.__mro__[:-1]):
        return f"{kind.__name__}({', '.join(f'{k}={text(v, depth - 1)}' for k, v in own.items())})"
    return _ADDRESS.sub("0x", repr(value))


def others(value: Any, depth: int = 2) -> Iterator[Any]:
    """Values of the same type that are near."""
    change = _CHANGES.get(type(value))
    if change is not None:
        yield from change(value, depth)


def _strings(value: Any, depth: int) -> Iterator[Any]:
    half = len(value) // 2
    yield from (value[:0], value[:-1], value[1:], value + value, value[::-1], value[:half], value.swapcase())
    yield value[:half] + (" " if isinstance(value, str) else b" ") + value[half:]


def _sequences(value: Any, depth: int) -> Iterator[Any]:
    yield from (value[:0], value[:-1], value[1:], value + value[-1:], value[::-1])
    if depth > 0:
        for at in range(min(3, len(value))):
            yield from (value[:at] + type(value)([one]) + value[at + 1 :] for one in others(value[at], depth - 1))


def _dicts(value: Any, depth: int) -> Iterator[Any]:
    yield {}
    for key in list(value)[:3]:
        yield {k: v for k, v in value.items() if k != key}
        if depth > 0:
            yield from ({**value, key: one} for one in others(value[key], depth - 1))


def _sets(value: Any, depth: int) -> Iterator[Any]:
    yield type(value)()
    yield from (value - {one} for one in sorted(value, key=text)[:3])


_CHANGES: dict[type, Callable[[Any, int], Iterator[Any]]] = {
    bool: lambda value, depth: iter([not value]),
    int: lambda value, depth: iter([value + 1, value - 1, 0, -value, 2 * value + 1]),
    float: lambda value, depth: iter([value + 0.5, value - 1.0, 0.0, -value]),
    str: _strings,
    bytes: _strings,
    list: _sequences,
    tuple: _sequences,
    dict: _dicts,
    set: _sets,
    frozenset: _sets,
}
