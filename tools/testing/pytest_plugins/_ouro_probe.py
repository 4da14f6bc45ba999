"""pytest plugin that calls functions with inputs that no test uses. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed inside the sandbox. When a test calls a wanted function, the process forks; the child
calls it with changed copies of the arguments, so that the test's memory is not affected. Files are shared: this
must run in a disposable copy. The result of each call is reported as text that is equal in every process, so that two
versions of a function can be compared.
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
"""Probed calls in all; probed calls of one function in a test; changed inputs for each probed call."""
CALL_S, CHILD_S, ALL_S = 0.25, 2.0, 6.0
LONG, LINE, DEPTH, ITEMS = 60, 300, 4, 50
"""Limits of a shown value and of a line, in characters, of nesting, and of items taken from an iterator. A longer value
is shown as a hash, never cut: half a secret is no longer recognised as one."""
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_TOKEN = re.compile(r"[\w+/=.-]{20,}")
_CHILD_BYTES = 1 << 18
# Kept from before the tests: a test may patch them.
_fork, _clock, _waitpid, _kill, _leave = os.fork, time.monotonic, os.waitpid, os.kill, os._exit


class Slow(BaseException):
    """Raised in a call that takes too long."""


class Prober:
    """The pytest plugin. ``options["functions"]``: path, first line (with decorators) and qualified name."""

    def __init__(self, reporter: Any, project: Any, options: dict[str, Any]) -> None:
        self._reporter, self._project = reporter, project
        self._wanted = {(path, line, name.rpartition(".")[2]): name for path, line, name in options["functions"]}
        # By identity: code objects of two files can be equal.
        self._known: dict[int, tuple[types.CodeType, str, types.FunctionType | None]] = {}
        self._starts: dict[int, int] = {}
        self._pid, self._left, self._until, self._test = os.getpid(), CALLS, 0.0, ""
        self._counts: dict[int, int] = {}

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: Any) -> Iterator[None]:
        self._test, self._counts = item.nodeid, {}
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)

    def _enter(self, frame: Any, event: str, arg: Any) -> None:
        code = frame.f_code
        if id(code) not in self._known:
            self._known[id(code)] = (code, *self._function(code))
        _, name, function = self._known[id(code)]
        if function is None or os.getpid() != self._pid or self._left <= 0:
            return
        if frame.f_lasti > self._starts.setdefault(id(code), frame.f_lasti):
            return  # a generator resumes
        self._counts[id(code)] = count = self._counts.get(id(code), 0) + 1
        self._until = self._until or _clock() + ALL_S
        if count > CALLS_OF_A_TEST or _clock() > self._until:
            return
        try:
            rows = self._probe_in_child(function, f"{self._test}\0{name}\0{count}", dict(frame.f_locals))
        except (OSError, ValueError):  # out of processes or pipes, or truncated output: the test continues
            return
        if rows:
            self._left -= 1
            self._reporter.emit("probe", rows=rows)

    def _function(self, code: types.CodeType) -> tuple[str, types.FunctionType | None]:
        """The wanted name of this code, if any, and its function if that can be called without more context."""
        path = self._project.relative(code.co_filename)
        name = self._wanted.get((path, code.co_firstlineno, code.co_name), "")
        if not name or code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            return name, None
        if set(code.co_freevars) - {"__class__"}:
            return name, None  # a closure: every call of the outer function makes another
        found = (one for one in gc.get_referrers(code) if isinstance(one, types.FunctionType) and one.__code__ is code)
        return name, next(found, None)

    def _probe_in_child(self, function: types.FunctionType, where: str, given: dict[str, Any]) -> list[list[str]]:
        """Rows reported by a child process within its time limit."""
        receive, send = os.pipe()
        pid = _fork()
        if not pid:
            try:
                os.close(receive)
                sys.settrace(None)
                report_variants(function, where, given, send)
            finally:
                _leave(0)
        try:
            os.close(send)
            return [json.loads(line) for line in self._read(receive).split(b"\n")[:-1]]
        finally:
            os.close(receive)
            with contextlib.suppress(ProcessLookupError):
                _kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                _waitpid(pid, 0)

    def _read(self, receive: int) -> bytes:
        data, end = b"", _clock() + CHILD_S
        poll = select.poll()
        poll.register(receive, select.POLLIN)
        while len(data) < _CHILD_BYTES and poll.poll(max(0, int((end - _clock()) * 1000))):
            more = os.read(receive, 65536)
            if not more:
                break
            data += more
        return data


def report_variants(function: types.FunctionType, where: str, given: dict[str, Any], out: int) -> None:
    """Call ``function`` with changed copies of the arguments ``given`` to it.

    Writes a JSON line for each: a hash of the call (``where`` and all arguments), the call as text, the outcome.
    """
    signal.signal(signal.SIGALRM, _slow)
    names = parameters(function.__code__)
    if not given.keys() >= set(names):
        return
    seen = {identity(where, given, names)}
    kinds = [(name, value) for name in names for value in near_values(given[name])]
    random.Random(len(kinds)).shuffle(kinds)
    for name, value in kinds:
        if len(seen) > INPUTS:
            return
        changed, problem = {**{n: given[n] for n in names}, name: value}, ""
        try:
            changed = copy.deepcopy(changed)
        except Exception as error:  # noqa: BLE001  (a class of the repository may raise anything)
            problem = f"cannot be called: a copy raises {type(error).__name__}"[:LINE]
        known = identity(where, changed, names)
        if known not in seen:
            seen.add(known)
            row = [known, call_text(function, changed, names), problem or outcome(function, changed, names)]
            os.write(out, (json.dumps(row) + "\n").encode("ascii"))


def _slow(number: int, frame: Any) -> None:
    raise Slow


def parameters(code: types.CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return list(code.co_varnames[:count])


def call(function: types.FunctionType, given: dict[str, Any]) -> Any:
    """Call a function with all its parameters by name, as in its frame."""
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
    """The result of a call and the arguments that it changed, or its exception, as text."""
    signal.setitimer(signal.ITIMER_REAL, CALL_S)
    try:
        before = {name: text(given[name]) for name in names}
        value = call(function, given)
        if hasattr(value, "__next__"):
            value = list(itertools.islice(value, ITEMS))
        result = text(value)
        after = {name: text(given[name]) for name in names if name not in ("self", "cls")}
        if _ADDRESS.search(result):
            return "gives an unreadable value"
        changed = [f"{name} = {shown(after[name])}" for name in after if after[name] != before[name]]
        return ", leaves ".join([f"gives {shown(result)}", *changed])
    except Slow:
        return "does not end"
    except BaseException as error:  # noqa: BLE001  (the exception is the outcome)
        return f"raises {type(error).__name__}"[:LONG]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def identity(where: str, given: dict[str, Any], names: list[str]) -> str:
    result = "\0".join([where, *(f"{name}={text(given[name])}" for name in names)])
    return digest(_ADDRESS.sub("0x", result))


def call_text(function: types.FunctionType, given: dict[str, Any], names: list[str]) -> str:
    result = (f"{name}={shown(text(given[name]))}" for name in names if name not in ("self", "cls"))
    return f"{function.__name__}({', '.join(result)})"[:LINE]


def shown(result: str) -> str:
    return result if len(result) <= LONG else f"<{len(result)} characters, {digest(result)[:8]}>"


def digest(result: str) -> str:
    return hashlib.sha256(result.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def text(value: Any, depth: int = DEPTH) -> str:
    """A value as text that is equal in every process, and for floats that differ only by rounding."""
    kind = type(value)
    if depth <= 0:
        return "..."
    if kind is float:
        return f"{value + 0.0:.12g}"
    if kind in (set, frozenset):
        return f"{kind.__name__}({', '.join(sorted(text(one, depth - 1) for one in value))})"
    if kind in (list, tuple):
        inside = ", ".join(text(one, depth - 1) for one in value)
        return f"[{inside}]" if kind is list else f"({inside})"
    if kind is dict:
        return "{" + ", ".join(sorted(f"{text(k, depth - 1)}: {text(v, depth - 1)}" for k, v in value.items())) + "}"
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict) and not any("__repr__" in vars(one) for one in kind.__mro__[:-1]):
        return f"{kind.__name__}({', '.join(f'{k}={text(v, depth - 1)}' for k, v in own.items())})"
    return repr(value)


def near_values(value: Any, depth: int = 2) -> Iterator[Any]:
    """Values of the same type that differ a little."""
    change = _CHANGES.get(type(value))
    if change is not None:
        yield from change(value, depth)


def _strings(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return  # perhaps a key: a changed one would not be recognised as a secret
    half = len(value) // 2
    yield from (value[:0], value[:-1], value[1:], value + value, value[::-1], value[:half], value.swapcase())
    yield value[:half] + (" " if isinstance(value, str) else b" ") + value[half:]


def _sequences(value: Any, depth: int) -> Iterator[Any]:
    yield from (value[:0], value[:-1], value[1:], value + value[-1:], value[::-1])
    if depth > 0:
        for at in range(min(3, len(value))):
            yield from (value[:at] + type(value)([one]) + value[at + 1 :] for one in near_values(value[at], depth - 1))


def _dicts(value: Any, depth: int) -> Iterator[Any]:
    yield {}
    for key in list(value)[:3]:
        yield {k: v for k, v in value.items() if k != key}
        if depth > 0:
            yield from ({**value, key: one} for one in near_values(value[key], depth - 1))


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


make = Prober
