"""Calls functions with inputs that no test uses. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed inside the sandbox. Where a test calls a wanted function the process forks; the child
calls it with changed copies of the arguments, so that the test's memory is not affected. Files are shared: this
must run in a disposable copy. The result of each call is reported as text, the same in every process, so that two
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
"""Calls that are looked at in all, and of one function in a test; changed inputs for each."""
CALL_S, CHILD_S, ALL_S = 0.25, 2.0, 6.0
LONG, LINE, DEPTH, ITEMS = 60, 300, 4, 50
"""A value with more characters than the first is not shown: half of a secret is not known for one any more."""
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_TOKEN = re.compile(r"[\w+/=.-]{20,}")
_CHILD_BYTES = 1 << 18
# A test may put something else in their place.
_fork, _clock, _waitpid, _kill, _leave = os.fork, time.monotonic, os.waitpid, os.kill, os._exit


class Slow(BaseException):
    """A call takes too long."""


class Prober:
    """The pytest plugin. ``asked["functions"]``: path, first line (decorators included) and qualified name of each."""

    def __init__(self, reporter: Any, project: Any, asked: dict[str, Any]) -> None:
        self._reporter, self._project = reporter, project
        self._wanted = {(path, line, name.rpartition(".")[2]): name for path, line, name in asked["functions"]}
        # By identity: pieces of code of two files are equal when they read the same.
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
            return  # a generator goes on
        self._counts[id(code)] = count = self._counts.get(id(code), 0) + 1
        self._until = self._until or _clock() + ALL_S
        if count > CALLS_OF_A_TEST or _clock() > self._until:
            return
        try:
            rows = self._asked(function, f"{self._test}\0{name}\0{count}", dict(frame.f_locals))
        except (OSError, ValueError):  # no process or pipe more, or a child that was cut off: the test goes on
            return
        if rows:
            self._left -= 1
            self._reporter.emit("probe", rows=rows)

    def _function(self, code: types.CodeType) -> tuple[str, types.FunctionType | None]:
        """The function of this code, when it is a wanted one that can simply be called."""
        path = self._project.relative(code.co_filename)
        name = self._wanted.get((path, code.co_firstlineno, code.co_name), "")
        if not name or code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            return name, None
        if set(code.co_freevars) - {"__class__"}:
            return name, None  # made anew in each call of another one: which of them is meant cannot be told
        found = (one for one in gc.get_referrers(code) if isinstance(one, types.FunctionType) and one.__code__ is code)
        return name, next(found, None)

    def _asked(self, function: types.FunctionType, where: str, given: dict[str, Any]) -> list[list[str]]:
        """Output of a child process within its time limit."""
        ready, say = os.pipe()
        pid = _fork()
        if not pid:
            try:
                os.close(ready)
                sys.settrace(None)
                answer(function, where, given, say)
            finally:
                _leave(0)
        try:
            os.close(say)
            return [json.loads(line) for line in self._read(ready).split(b"\n")[:-1]]
        finally:
            os.close(ready)
            with contextlib.suppress(ProcessLookupError):
                _kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                _waitpid(pid, 0)

    def _read(self, ready: int) -> bytes:
        data, end = b"", _clock() + CHILD_S
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        while len(data) < _CHILD_BYTES and poll.poll(max(0, int((end - _clock()) * 1000))):
            more = os.read(ready, 65536)
            if not more:
                break
            data += more
        return data


def answer(function: types.FunctionType, where: str, given: dict[str, Any], out: int) -> None:
    """Call ``function`` with changed copies of what it was ``given``.

    For each a JSON line: what the question is known by (``where`` and all arguments), how it reads, the outcome.
    """
    signal.signal(signal.SIGALRM, _slow)
    names = parameters(function.__code__)
    if not given.keys() >= set(names):
        return
    told = {identity(where, given, names)}
    kinds = [(name, value) for name in names for value in others(given[name])]
    random.Random(len(kinds)).shuffle(kinds)
    for name, value in kinds:
        if len(told) > INPUTS:
            return
        changed, problem = {**{n: given[n] for n in names}, name: value}, ""
        try:
            changed = copy.deepcopy(changed)
        except Exception as error:  # noqa: BLE001  (a class of the repository may refuse in its own words)
            problem = f"cannot be asked: a copy raises {type(error).__name__}"[:LINE]
        known = identity(where, changed, names)
        if known not in told:
            told.add(known)
            row = [known, written(function, changed, names), problem or outcome(function, changed, names)]
            os.write(out, (json.dumps(row) + "\n").encode("ascii"))


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
    """Result of a call and its arguments afterwards; or its exception; or that neither is readable."""
    signal.setitimer(signal.ITIMER_REAL, CALL_S)
    try:
        before = {name: text(given[name]) for name in names}
        value = called(function, given)
        if hasattr(value, "__next__"):
            value = list(itertools.islice(value, ITEMS))
        said = text(value)
        after = {name: text(given[name]) for name in names if name not in ("self", "cls")}
        if _ADDRESS.search(said):
            return "gives what cannot be read"
        changed = [f"{name} = {shown(after[name])}" for name in after if after[name] != before[name]]
        return ", leaves ".join([f"gives {shown(said)}", *changed])
    except Slow:
        return "does not end"
    except BaseException as error:  # noqa: BLE001  (whatever it raises is what is wanted here)
        return f"raises {type(error).__name__}"[:LONG]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def identity(where: str, given: dict[str, Any], names: list[str]) -> str:
    said = "\0".join([where, *(f"{name}={text(given[name])}" for name in names)])
    return digest(_ADDRESS.sub("0x", said))


def written(function: types.FunctionType, given: dict[str, Any], names: list[str]) -> str:
    said = (f"{name}={shown(text(given[name]))}" for name in names if name not in ("self", "cls"))
    return f"{function.__name__}({', '.join(said)})"[:LINE]


def shown(said: str) -> str:
    return said if len(said) <= LONG else f"<{len(said)} characters, {digest(said)[:8]}>"


def digest(said: str) -> str:
    return hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def text(value: Any, depth: int = DEPTH) -> str:
    """A value in words that do not differ from process to process, nor with the order in which a sum was made."""
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


def others(value: Any, depth: int = 2) -> Iterator[Any]:
    """Values of the same type that are near."""
    change = _CHANGES.get(type(value))
    if change is not None:
        yield from change(value, depth)


def _strings(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return  # a key, maybe: changed a little it would not look like one
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


make = Prober
