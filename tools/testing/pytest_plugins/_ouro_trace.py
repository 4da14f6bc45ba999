"""Which lines each test runs. PYTEST_DONT_REWRITE

Standard library only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as text by
the runner and executed inside the sandbox, where coverage was asked for.
"""

from __future__ import annotations

import dis
import sys
import threading
import types
from typing import Any


class Lines:
    """The lines of one code object that ran in the current test; tracing stops when all of them have."""

    def __init__(self, path: str, code: types.CodeType, tracer: SettraceTracer) -> None:
        every = {line for _, line in dis.findlinestarts(code) if line}
        self._all = every - {code.co_firstlineno} or every  # a function's own line gets no event
        self._tracer = tracer
        self.path, self.seen, self.rest = path, set[int](), set(self._all)

    def trace(self, frame: Any, event: str, arg: Any) -> Any:
        if event == "line":
            line = frame.f_lineno
            tracer = self._tracer
            tracer.left -= 1
            if tracer.left < 0:
                sys.settrace(None)
                return None
            if line not in self.seen:
                if not self.seen:
                    tracer.touched.append(self)
                self.seen.add(line)
                self.rest.discard(line)
            if not self.rest:
                frame.f_trace_lines = False
        return self.trace

    def taken(self) -> set[int]:
        """What ran; from here on the next test."""
        seen, self.seen, self.rest = self.seen, set(), set(self._all)
        return seen


class SettraceTracer:
    """Executed lines by ``sys.settrace``: Python before 3.12, all threads that start during the run.

    Each line and each call of any function costs, several times what it takes by itself: in a test no more than
    ``most`` of them are looked at (None: all). Then its tracing is ``cut``; what it ran by then is known.
    """

    def __init__(self, project: Any, most: int | None) -> None:
        self._project, self._most = project, float("inf") if most is None else most
        self.left = float("inf")  # while test modules are imported
        # By identity: pieces of code of two files are equal when they read the same. Kept, so that no id is used again.
        self._known: dict[int, tuple[types.CodeType, Lines | None]] = {}
        self.touched: list[Lines] = []
        self._install()

    @property
    def cut(self) -> bool:
        return self.left < 0

    def _install(self) -> None:
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def begin(self, test: str) -> None:
        self.end()
        self.left = self._most

    def on(self) -> None:
        """Each call of any function costs from here on: not for pytest's own work around a test."""
        if not self.cut:
            self._install()

    def off(self) -> None:
        sys.settrace(None)

    def end(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        while self.touched:
            lines = self.touched.pop()
            found.setdefault(lines.path, set()).update(lines.taken())
        return found

    def _enter(self, frame: Any, event: str, arg: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            sys.settrace(None)
            return None
        code = frame.f_code
        if id(code) not in self._known:
            path = self._project.relative(code.co_filename)
            self._known[id(code)] = (code, Lines(path, code, self) if path is not None else None)
        _, lines = self._known[id(code)]
        return lines.trace if lines is not None and lines.rest else None


class MonitoringTracer:
    """Executed lines by ``sys.monitoring`` (Python 3.12 and later): each line of the repository costs once a test.

    Always on: what is not the repository's costs once.
    """

    cut = False

    def __init__(self, project: Any, tool: int) -> None:
        self._project = project
        self._lines: dict[str, set[int]] = {}
        self._monitoring: Any = getattr(sys, "monitoring")  # noqa: B009  (older Pythons do not have it)
        self._tool = tool
        events = self._monitoring.events
        self._monitoring.use_tool_id(tool, "ouro")
        self._monitoring.register_callback(tool, events.PY_START, self._start)
        self._monitoring.register_callback(tool, events.LINE, self._line)
        self._monitoring.set_events(tool, events.PY_START)

    def begin(self, test: str) -> None:
        self._lines = {}
        self._monitoring.restart_events()

    def on(self) -> None:
        pass

    def off(self) -> None:
        pass

    def end(self) -> dict[str, set[int]]:
        lines, self._lines = self._lines, {}
        return lines

    def _start(self, code: types.CodeType, offset: int) -> Any:
        if self._project.relative(code.co_filename) is not None:
            self._monitoring.set_local_events(self._tool, code, self._monitoring.events.LINE)
        return self._monitoring.DISABLE

    def _line(self, code: types.CodeType, line: int) -> Any:
        path = self._project.relative(code.co_filename)
        if path is not None:
            self._lines.setdefault(path, set()).add(line)
        return self._monitoring.DISABLE


def make(project: Any, most: int | None) -> Any:
    """``most``: lines and calls of a test that are looked at where each of them costs; None: all."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is not None:
        for tool in (3, 4, monitoring.COVERAGE_ID):
            if monitoring.get_tool(tool) is None:
                return MonitoringTracer(project, tool)
    return SettraceTracer(project, most)
