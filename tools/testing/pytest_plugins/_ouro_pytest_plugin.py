"""Runs pytest in the repository's own interpreter and reports the results. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: the runner sends this file as text to a process that cannot import
the rest of the project. It writes one JSON line per event to an inherited descriptor. Every line has the key of the run
and a serial number, by which the reader (``report.py``) detects torn, foreign and repeated lines.

Events: ``start``, ``collect_error``, ``collected``, ``running``, ``result``, ``cover``, ``internal``, ``modules`` and
at the end ``end``; other plugins have their own: ``probe`` (``_ouro_probe.py``), ``screened`` (``_ouro_screen.py``),
``instrumented`` and ``compared`` (``_ouro_compare.py``), ``sentinel`` (``_ouro_sentinel.py``) and ``guarded``
(``_ouro_guard.py``).
"""
# ruff: noqa: PTH109, PTH117, PTH118

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import types
from collections.abc import Iterator
from typing import Any

import pytest

MESSAGE_CHARS = 2000
DETAIL_CHARS = 6000
FRAMES = 40
FULL_REPORTS = 200  # failures after this many are reported without their long text
_LOADED: dict[str, Any] = {}
_WORSE = {"": 0, "passed": 1, "skipped": 2, "xfailed": 2, "xpassed": 2, "error": 3, "failed": 4}


SURROGATE = re.compile(r"(?<!\\)((?:\\\\)*)(?:(\\ud[89ab]..\\ud[c-f]..)|\\(ud[89a-f]..))")
"""An escaped pair of surrogates (a valid character) or a lone surrogate (invalid) in JSON text."""


def escape_surrogate(found: re.Match[str]) -> str:
    """A lone surrogate with its backslash escaped, so that it is read as plain text; a pair unchanged."""
    whole = found[0] if found[2] else found[1] + "\\\\" + found[3]
    return str(whole)


def clip(text: str, limit: int) -> str:
    """Head and tail of a text, with characters escaped that UTF-8 cannot encode."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail]}\n... {len(text) - limit} characters left out ...\n{text[-tail:]}"


class Reporter:
    """Writes the events, but only in the process that created it: forked children write nothing."""

    def __init__(self, fd: int, key: str) -> None:
        self._fd, self._key, self._pid, self._count = fd, key, os.getpid(), 0
        os.set_inheritable(fd, False)

    def emit(self, event: str, **fields: Any) -> None:
        if os.getpid() != self._pid:
            return
        line = json.dumps(dict(fields, k=self._key, n=self._count, e=event), separators=(",", ":")) + "\n"
        if "\\ud" in line:  # a surrogate, as in a file name that is not valid UTF-8
            line = SURROGATE.sub(escape_surrogate, line)
        self._count += 1
        data = line.encode("ascii")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self._pid = -1  # a test closed the descriptor; the reader notices that the last event is missing


class Project:
    """Decides which files belong to the repository; those in ``foreign`` folders do not."""

    def __init__(self, root: str, foreign: list[str]) -> None:
        self._root = root.rstrip("/") + "/"
        self._foreign = tuple(folder.rstrip("/") + "/" for folder in foreign)
        self._known: dict[str, str | None] = {}

    def relative(self, file: str) -> str | None:
        """Path inside the repository; None for anything else (an environment inside the checkout, for one)."""
        if file not in self._known:
            whole = file if os.path.isabs(file) else os.path.join(self._root, file)
            whole = os.path.normpath(whole)
            inside = whole.startswith(self._root) and not whole.startswith(self._foreign)
            if not os.path.isabs(file) and (file.startswith("<") or not file.endswith(".py")):
                inside = False  # code without a file: frozen modules, templates, exec
            self._known[file] = whole[len(self._root) :] if inside and "/site-packages/" not in whole else None
        return self._known[file]

    def frames(self, error: BaseException) -> list[tuple[str, int, str]]:
        """The traceback's frames inside the repository, outermost first; a syntax error adds the place it names."""
        found: list[tuple[str, int, str]] = []
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            path = self.relative(code.co_filename)
            if path is not None:
                found.append((path, trace.tb_lineno, code.co_name))
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and error.filename:
            path = self.relative(error.filename)
            if path is not None:
                found.append((path, error.lineno or 1, "<module>"))
        return found if len(found) <= FRAMES else found[: FRAMES // 4] + found[-(FRAMES - FRAMES // 4) :]


class NoTracer:
    """The tracer of a run without coverage: records nothing."""

    cut = False

    def begin(self, test: str) -> None:
        pass

    def on(self) -> None:
        pass

    def off(self) -> None:
        pass

    def end(self) -> dict[str, set[int]]:
        return {}


def ranges(lines: set[int]) -> list[int]:
    """Line numbers as ranges, flattened: first, last, first, last and so on."""
    flat: list[int] = []
    for line in sorted(lines):
        if flat and flat[-1] == line - 1:
            flat[-1] = line
        else:
            flat += [line, line]
    return flat


def prefixes(nodeid: str) -> Iterator[str]:
    """Every id that includes this test: itself, without its parameters, its class, file and folders."""
    yield nodeid
    base = nodeid.partition("[")[0]
    parts = base.split("::")
    for count in range(len(parts), 0, -1):
        yield "::".join(parts[:count])
    folders = parts[0].split("/")
    for count in range(len(folders) - 1, 0, -1):
        yield "/".join(folders[:count])


class Watcher:
    """The pytest plugin: selects the ``wanted`` tests, and reports events, frames and coverage."""

    def __init__(self, reporter: Reporter, project: Project, tracer: Any, wanted: list[str]) -> None:
        self._reporter, self._project, self._tracer = reporter, project, tracer
        self._wanted = set(wanted)
        self._raised: dict[tuple[str, str], BaseException] = {}
        self._state: dict[str, Any] = {}
        self.collected = self.results = self._red = 0

    # Set-up: the run is one process, without the owner's coverage threshold.

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: Any) -> Iterator[None]:
        os.environ.pop("PYTEST_VERSION", None)
        if getattr(early_config.known_args_namespace, "cov_source", None):
            early_config.known_args_namespace.cov_source = None
        outcome: Any = yield
        if outcome.excinfo is not None:
            error = outcome.excinfo[1]
            if type(error).__name__ == "ConftestImportFailure":
                self._collect_error("conftest.py", error, "")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_cmdline_main(self, config: Any) -> Iterator[None]:
        for name, value in (("numprocesses", 0), ("dist", "no"), ("tx", []), ("stepwise", False)):
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        yield

    # Collection.

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Iterator[None]:
        outcome: Any = yield
        if outcome.excinfo is None:
            report = outcome.get_result()
            call = getattr(report, "call", None)
            if report.failed and call is not None and call.excinfo is not None:
                self._collect_error(collector.nodeid or ".", call.excinfo.value, report.longreprtext)

    def _collect_error(self, nodeid: str, error: BaseException, detail: str) -> None:
        cause: Any = getattr(error, "cause", None) or error.__cause__
        excinfo = getattr(error, "excinfo", None)  # older pytest: a triple
        if isinstance(excinfo, tuple) and len(excinfo) > 1 and not isinstance(cause, BaseException):
            cause = excinfo[1]
        wrapped = type(error).__name__ in ("CollectError", "ConftestImportFailure")
        real = cause if wrapped and isinstance(cause, BaseException) else error
        path = getattr(error, "path", None) if type(error).__name__ == "ConftestImportFailure" else None
        if path is not None:  # the folder was being collected, but the conftest is what broke
            nodeid = self._project.relative(str(path)) or str(path)
        self._reporter.emit(
            "collect_error",
            id=nodeid,
            exc=type(real).__name__,
            message=clip(f"{type(real).__name__}: {safe_text(real)}", MESSAGE_CHARS),
            detail=clip(detail, DETAIL_CHARS),
            frames=self._project.frames(real),
        )

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> Iterator[None]:
        yield
        if self._wanted:
            chosen = [item for item in items if not self._wanted.isdisjoint(prefixes(item.nodeid))]
            kept = set(map(id, chosen))
            rest = [item for item in items if id(item) not in kept]
            items[:] = chosen
            if rest:
                config.hook.pytest_deselected(items=rest)

    def pytest_collection_finish(self, session: Any) -> None:
        ids = [item.nodeid for item in session.items]
        found = {prefix for nodeid in ids for prefix in prefixes(nodeid)}
        self.collected = len(ids)
        self._import_lines()
        self._reporter.emit("collected", ids=ids, missing=sorted(self._wanted - found))

    def _import_lines(self) -> None:
        self._tracer.off()
        self._cover("", self._tracer.end())

    # Tests.

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        self._tracer.on()
        try:
            yield
        finally:
            self._tracer.off()

    pytest_runtest_call = pytest_runtest_teardown = pytest_runtest_setup

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._raised = {}
        self._state = {"out": "", "s": 0.0, "exc": "", "message": "", "detail": "", "frames": []}
        self._reporter.emit("running", id=nodeid)
        self._tracer.begin(nodeid)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Iterator[None]:
        yield
        if call.excinfo is not None:
            self._raised.setdefault((item.nodeid, call.when), call.excinfo.value)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if not self._state:
            return
        self._state["s"] += report.duration
        out = phase_outcome(report)
        if _WORSE[out] <= _WORSE[self._state["out"]]:
            return
        self._state["out"] = out
        self._state["message"], self._state["detail"] = report_texts(report)
        error = self._raised.get((report.nodeid, report.when))
        if report.failed and error is not None:
            self._state["exc"] = type(error).__name__
            self._state["frames"] = self._project.frames(error)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        lines, cut = self._tracer.end(), self._tracer.cut
        state, self._state, self._raised = self._state, {}, {}
        out = state.get("out") or "error"
        self._red += out in ("failed", "error")
        self.results += 1
        self._reporter.emit(
            "result",
            id=nodeid,
            out=out,
            ms=round(state["s"] * 1000),
            exc=state["exc"],
            message=clip(state["message"], MESSAGE_CHARS),
            detail=clip(state["detail"], DETAIL_CHARS) if self._red <= FULL_REPORTS else "",
            frames=state["frames"],
        )
        self._cover(nodeid, lines, cut)

    def _cover(self, nodeid: str, lines: dict[str, set[int]], cut: bool = False) -> None:
        if lines:
            files = {path: ranges(seen) for path, seen in lines.items()}
            self._reporter.emit("cover", id=nodeid, files=files, cut=cut)

    def pytest_internalerror(self, excrepr: Any) -> None:
        self._reporter.emit("internal", message=clip(str(excrepr), MESSAGE_CHARS))


def safe_text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (an exception class of the repository may fail at its own text)
        return "<no text: str() of the exception failed>"


def phase_outcome(report: Any) -> str:
    """The outcome of a test by the report of one phase; empty when the report does not decide it."""
    if report.outcome == "failed":
        return "failed" if report.when == "call" else "error"
    subtest = "ubtest" in type(report).__name__ or "SubTest" in type(report).__name__
    if report.outcome == "skipped" and not subtest:
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    if report.outcome == "passed" and report.when == "call" and not subtest:
        return "xpassed" if hasattr(report, "wasxfail") else "passed"
    return ""


def report_texts(report: Any) -> tuple[str, str]:
    """The message and the long text of a report."""
    longrepr = report.longrepr
    if longrepr is None:
        return "", ""
    if isinstance(longrepr, tuple):  # a skip: path, line, reason
        return str(longrepr[-1]), ""
    crash = getattr(longrepr, "reprcrash", None)
    text = report.longreprtext
    return (crash.message if crash is not None else text.strip()[-MESSAGE_CHARS:]), text


def foreign_modules(names: set[str], root: str, checkout: str | None, project: Project) -> list[tuple[str, str]]:
    """Loaded modules of the project that come from files outside the tested tree: name and file, at most 20."""
    found = []
    real_root = os.path.realpath(root)
    loaded: dict[str, Any] = dict(sys.modules)
    for name, module in sorted(loaded.items()):
        if not isinstance(module, types.ModuleType):
            continue
        file = object.__getattribute__(module, "__dict__").get("__file__")
        if not isinstance(file, str) or project.relative(file) is not None:
            continue
        if os.path.realpath(file).startswith(real_root + "/") and "/site-packages/" not in file:
            continue
        top = name.partition(".")[0]
        owned = checkout is not None and file.startswith(checkout + "/") and "/site-packages/" not in file
        if (top in names and not is_standard(top)) or (owned and not project_environment(file)):
            found.append((name, file))
    return found[:20]


def is_standard(name: str) -> bool:
    return name in getattr(sys, "stdlib_module_names", sys.builtin_module_names)


def project_environment(file: str) -> bool:
    return file.startswith((sys.prefix + "/", sys.base_prefix + "/"))


def insert_import_roots(roots: list[str]) -> None:
    """Put the import roots after the standard library and before installed packages."""
    place = next((n for n, p in enumerate(sys.path) if "-packages" in p), len(sys.path))
    sys.path[place:place] = [root for root in roots if root not in sys.path[:place]]


def load_factory(name: str, text: str) -> Any:
    """The function ``make`` of a module given as text. Loaded once; processes that are forked later have it already."""
    if text not in _LOADED:
        module = types.ModuleType(name)
        exec(compile(text, f"<{name}>", "exec"), module.__dict__)
        _LOADED[text] = module.__dict__["make"]
    return _LOADED[text]


def hide_current_test() -> None:
    """Keep pytest from naming the running test in the environment, so that programs behave as usual."""
    runner: Any = sys.modules["_pytest.runner"]
    runner._update_current_test_var = lambda item, when: None


def make_plugins(reporter: Reporter, project: Project, plugins: list[dict[str, Any]]) -> list[Any]:
    """The additional plugins in the run's configuration, such as the probe of inputs."""
    return [load_factory(one["name"], one["text"])(reporter, project, one["asked"]) for one in plugins]


def main(config: dict[str, Any]) -> int:
    """Run pytest by the parent's configuration and report; returns pytest's exit status."""
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    reporter = Reporter(int(os.environ.pop("OURO_REPORT_FD")), config["key"])
    root = os.getcwd()
    insert_import_roots([os.path.normpath(os.path.join(root, path)) for path in config["roots"]])
    project = Project(root, config["foreign"])
    version = [int(part) for part in sys.version_info[:2]]
    reporter.emit("start", python=version, pytest=pytest.__version__, prefix=sys.prefix)
    trace = config["coverage"]
    tracer = load_factory(trace["name"], trace["text"])(project, trace["events"]) if trace else NoTracer()
    watcher = Watcher(reporter, project, tracer, config["wanted"])
    cache = tempfile.mkdtemp(prefix="ouro-pytest-")
    # The cache plugin stays, because owners configure it, but with an empty folder: nothing of earlier runs.
    args = ["--rootdir", root, "-o", "cache_dir=" + cache, "--color=no", "--tb=short", "--maxfail=0"]
    args += ["--continue-on-collection-errors", *config["args"], *config["targets"]]
    hide_current_test()
    plugins = make_plugins(reporter, project, config["others"])
    try:
        code = int(pytest.main(args, plugins=[watcher, *plugins]))
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    for one in plugins:
        if hasattr(one, "finish"):
            one.finish()
    bad = foreign_modules(set(config["names"]), root, config["checkout"], project)
    reporter.emit("modules", bad=bad)
    reporter.emit("end", exit=code, collected=watcher.collected, results=watcher.results)
    return code
