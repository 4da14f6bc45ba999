"""Observes which changed functions the tests run, and which changed files they load. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed in the sandbox. It reports the observations at the end of the run, as ``entered``. From
Python 3.12 on, each function is observed once (``sys.monitoring``); before that each call is traced until all functions
are seen or a limit is reached that keeps the run fast: then the rest counts as not seen, and ``cut`` is true.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

CALLS_PER_PHASE, CALLS_PER_RUN = 50_000, 200_000
"""Maximum number of traced calls in one phase of a test (setup, call, teardown), and in all."""


class EntryObserver:
    """The pytest plugin. ``functions``: path, first line and name of each function to observe."""

    def __init__(self, reporter: Any, project: Any, files: list[str], functions: list[list[Any]]) -> None:
        self._reporter, self._project, self._files = reporter, project, frozenset(files)
        self._left = {(path, line, name) for path, line, name in functions}
        self._paths = {path for path, _, _ in self._left}
        self._seen: set[tuple[str, int, str]] = set()
        self._loaded: set[str] = set()
        self._calls, self._cut = CALLS_PER_RUN, False
        self._until = 0
        self._monitoring: Any = getattr(sys, "monitoring", None)
        self._tool = self._free_tool() if self._left else None

    # With sys.monitoring.

    def _free_tool(self) -> int | None:
        if self._monitoring is None:
            return None
        tool = next((number for number in (4, 3, 5) if self._monitoring.get_tool(number) is None), None)
        if tool is not None:
            start = self._monitoring.events.PY_START
            self._monitoring.use_tool_id(tool, "ouro entered")
            self._monitoring.register_callback(tool, start, self._on_start)
            self._monitoring.set_events(tool, start)
        return tool

    def _on_start(self, code: types.CodeType, offset: int) -> Any:
        self._observe(code)
        return self._monitoring.DISABLE

    def _observe(self, code: types.CodeType) -> None:
        path = self._project.relative(code.co_filename)
        if path in self._paths:
            found = (path, code.co_firstlineno, code.co_name)
            if found in self._left:
                self._left.discard(found)
                self._seen.add(found)

    # With sys.settrace, while a test runs.

    def _on_call(self, frame: Any, event: str, arg: Any) -> None:
        self._calls -= 1
        self._observe(frame.f_code)
        if not self._left or self._calls <= self._until:
            sys.settrace(None)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        if self._tool is not None or not self._left or self._calls <= 0 or sys.gettrace() is not None:
            yield
            return
        self._until = max(0, self._calls - CALLS_PER_PHASE)
        threading.settrace(self._on_call)
        sys.settrace(self._on_call)
        try:
            yield
        finally:
            if sys.gettrace() == self._on_call:
                sys.settrace(None)
            threading.settrace(None)
            self._cut = self._cut or (bool(self._left) and self._calls <= self._until)

    pytest_runtest_call = pytest_runtest_teardown = pytest_runtest_setup

    # At the end.

    def finish(self) -> None:
        if self._tool is not None:
            self._monitoring.set_events(self._tool, 0)
            self._monitoring.free_tool_id(self._tool)
        for module in list(sys.modules.values()):
            if isinstance(module, types.ModuleType):
                file = object.__getattribute__(module, "__dict__").get("__file__")
                path = self._project.relative(file) if isinstance(file, str) else None
                if path in self._files:
                    self._loaded.add(str(path))
        self._loaded.update(path for path, _, _ in self._seen)
        self._reporter.emit("entered", files=sorted(self._loaded), functions=sorted(self._seen), cut=self._cut)


def make(reporter: Any, project: Any, options: dict[str, Any]) -> EntryObserver:
    return EntryObserver(reporter, project, options["files"], options["functions"])
