"""Detects changes of the machinery that gives the verdict. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed in the sandbox, by the process that runs the tests. It reports, as ``guarded``, changes
of pytest, pluggy, unittest, json, builtins, the import system and our modules since before the first line of the
repository ran. Installed plugins may change pytest until the tests are collected; no later change is allowed.
"""

from __future__ import annotations

import builtins
import operator
import os
import sys
import time
import types
from collections.abc import Container, Iterable, Iterator
from typing import Any

import pytest

RUNNER = [
    "_pytest.runner",
    "_pytest.python",
    "_pytest.nodes",
    "_pytest.main",
    "_pytest.reports",
    "_pytest.skipping",
    "_pytest.unittest",
    "_pytest.fixtures",
    "_pytest.outcomes",
    "_pytest.python_api",
    "_pytest.approx",
    "_pytest.raises",
    "_pytest._code.code",
    "_pytest.assertion",
    "_pytest.assertion.rewrite",
    "_pytest.assertion.util",
    "_pytest.config",
    "_pytest.subtests",
    "unittest.case",
    "unittest.suite",
    "unittest.async_case",
    "json",
    "json.encoder",
    "_ouro_pytest_plugin",
]
"""Modules whose functions and classes give the verdict, as far as they are there; and all of pluggy's."""
HOT = {
    "_pytest.runner": None,
    "pluggy._callers": None,
    "pluggy._execution": None,
    "_pytest.python": ("Function", "pytest_pyfunc_call"),
    "_pytest.reports": ("TestReport", "BaseReport"),
}
"""The parts that are checked between all tests; None: the whole module."""
MAY_CHANGE = frozenset(
    [
        "print",
        "input",
        "open",
        "help",
        "exit",
        "quit",
        "copyright",
        "license",
        "credits",
        "breakpoint",
        "__import__",
        "_",
        "__debug__",
        "__build_class__",
    ]
)
"""Builtins that honest programs replace, and that no verdict rests on."""
TOOLS = (
    (os, ("write", "_exit", "getpid", "set_inheritable")),
    (operator, ("eq", "ne", "is_", "not_", "truth")),
    (sys, ("settrace", "setprofile", "_getframe", "exc_info")),
)
HOOKS = [
    "pytest_runtestloop",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtest_call",
    "pytest_runtest_teardown",
    "pytest_runtest_makereport",
    "pytest_runtest_logreport",
    "pytest_runtest_logstart",
    "pytest_runtest_logfinish",
    "pytest_pyfunc_call",
    "pytest_report_teststatus",
    "pytest_sessionfinish",
]
OWN_OF_ITEMS = ("runtest", "setup", "ihook", "repr_failure", "listchain")
"""What an item has from its class, and never of its own."""
OURS = {"_pytest.runner._update_current_test_var", "_pytest.assertion.rewrite.rewrite_asserts"}
"""What the reporter and ``_ouro_compare.py`` have put there by the time that a guard is made."""
MOST = 8  # differences that are reported
EVERY_S = 1.0  # between looks at everything
_ABSENT = object()
_clock = time.monotonic
CALLED = frozenset({types.FunctionType, types.BuiltinFunctionType, staticmethod, classmethod})


def function_of(value: Any) -> Any:
    """The function that runs when ``value`` is called or asked for; None where it is not Python's."""
    if isinstance(value, (staticmethod, classmethod, types.MethodType)):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    return value if isinstance(value, types.FunctionType) else None


def code_of(value: Any) -> Any:
    """Its code."""
    return getattr(function_of(value), "__code__", None)


def is_run(value: Any) -> bool:
    """Whether a member of a class is code that runs when the class is used: a function or a descriptor."""
    return callable(value) or hasattr(type(value), "__get__")


def row(label: str, space: Any, name: str, value: Any) -> tuple[str, Any, str, Any, Any, Any, Any]:
    """Where, namespace, name, value; and of a function it, its code and its defaults."""
    function = value if type(value) is types.FunctionType else function_of(value)
    if function is None:
        return label, space, name, value, None, None, None
    return label, space, name, value, function, function.__code__, function.__defaults__


class Fingerprint:
    """Of modules and their classes: every function, and which names a class has."""

    def __init__(self, modules: dict[str, Any]) -> None:
        self._prints: list[tuple[str, Any, str, Any, Any, Any, Any]] = []
        self._sizes: list[tuple[str, Any, frozenset[str], Any]] = []
        self._modules = modules
        for name, module in modules.items():
            self._module(name, module)

    def _module(self, name: str, module: Any) -> None:
        space = vars(module)
        for key, value in space.items():
            if isinstance(value, type):
                self._row(name, space, key, value)
                if value.__module__ == name:
                    self.a_class(f"{name}.{key}", value)
            elif type(value) in CALLED:
                self._row(name, space, key, value)

    def a_class(self, label: str, owner: type) -> None:
        """What a class has, and that it has nothing else."""
        space = vars(owner)
        self._sizes.append((label, owner, frozenset(space), owner.__mro__))
        for key, value in space.items():
            if type(value) in CALLED or isinstance(value, (property, type)):
                self._row(label, space, key, value)

    def add(self, label: str, space: Any, names: Iterable[str]) -> None:
        """Single names of a namespace."""
        for name in names:
            if name in space:
                self._row(label, space, name, space[name])

    def _row(self, label: str, space: Any, name: str, value: Any) -> None:
        self._prints.append(row(label, space, name, value))

    def accept(self, labels: Container[str], names: Container[str]) -> None:
        """Make the current values at these places (``names``: their last parts), and class names, the new baseline."""
        for number, (label, space, name, *_) in enumerate(self._prints):
            if name in names and f"{label}.{name}" in labels:
                self._prints[number] = row(label, space, name, space.get(name))
        for number, (label, owner, known, mro) in enumerate(self._sizes):
            if len(vars(owner)) != len(known) or owner.__mro__ is not mro:
                self._sizes[number] = (label, owner, frozenset(vars(owner)), owner.__mro__)

    def differences(self) -> list[tuple[str, Any]]:
        """Differences: place and current value."""
        found = []
        for label, space, name, value, function, code, defaults in self._prints:
            if space.get(name) is not value or (
                function is not None and (function.__code__ is not code or function.__defaults__ is not defaults)
            ):
                found.append((f"{label}.{name}", space.get(name, _ABSENT)))
        for label, owner, names, mro in self._sizes:
            space = vars(owner)
            if len(space) != len(names):
                found += [(f"{label}.{name}", space[name]) for name in set(space) - names if is_run(space[name])]
            if owner.__mro__ is not mro:
                found.append((f"{label}.__mro__", None))
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                found.append((f"sys.modules[{name!r}]", sys.modules.get(name)))
        return found


class Guard:
    """The pytest plugin."""

    def __init__(self, reporter: Any, project: Any) -> None:
        self._reporter, self._project = reporter, project
        self._changed: dict[str, str] = {}
        self._settled: set[str] = set()
        self._next = 0.0
        self._codes: dict[int, Any] = {}
        self._plugins: list[Any] = []
        self._hooks: dict[str, list[Any]] = {}
        self._config: Any = None
        self._trace = sys.gettrace()
        self._finders: list[Any] = []
        # Changes since then are ours: no other code has run.
        self._whole, self._hot = BEFORE
        self._accept(OURS)

    # Current values.

    def _accept(self, labels: set[str]) -> None:
        names = {label.rpartition(".")[2] for label in labels}
        for each in (self._whole, self._hot):
            each.accept(labels, names)

    def _note(self, label: str, value: Any) -> None:
        if label not in self._changed and len(self._changed) < MOST:
            self._changed[label] = self._whose(value)

    def _whose(self, value: Any) -> str:
        code = code_of(value) or getattr(getattr(value, "__init__", None), "__code__", None)
        if code is None:
            return ""
        return f"{self._project.relative(code.co_filename) or code.co_filename}:{code.co_firstlineno}"

    def _compare(self) -> None:
        for label, value in self._whole.differences():
            self._note(label, value)

    # Until the plugins are set up.

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: Any) -> None:
        self._config = session.config
        self._settle()

    def _settle(self) -> None:
        """Take what installed plugins have made of pytest; note what the repository has."""
        differences = self._whole.differences()
        if differences:
            plugins = self._installed()
            others = [each for each in differences if not self._by_plugin(each[1], plugins)]
            for label, value in others if others and self._is_loaded() else ():
                self._note(label, value)
            self._settled = {label for label, _ in differences}
            self._accept(self._settled)
        self._trace = sys.gettrace()
        self._finders = list(sys.meta_path)
        self._plugins = list(self._config.pluginmanager.get_plugins()) if self._config is not None else []

    def _is_loaded(self) -> bool:
        """Whether a line of the repository has run by now."""
        files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        return any(isinstance(file, str) and self._project.relative(file) is not None for file in files)

    def _installed(self) -> frozenset[str]:
        """Top names of packages that brought plugins, but for pytest's own: those have no reason to change it."""
        names = {
            str(getattr(p, "__name__", type(p).__module__)).partition(".")[0]
            for p in self._config.pluginmanager.get_plugins()
        }
        return frozenset(names - {"_pytest", "pytest", "pluggy", "builtins"})

    def _by_plugin(self, value: Any, plugins: frozenset[str]) -> bool:
        """Whether a function or class comes from a package that brought a plugin, and no file of the repository."""
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if isinstance(value, property):
            value = value.fget
        name = (
            value.__globals__.get("__name__")
            if isinstance(value, types.FunctionType)
            else getattr(value, "__module__", None)
        )
        module = sys.modules.get(name) if isinstance(name, str) else None
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or self._project.relative(file) is not None:
            return False
        if isinstance(value, types.FunctionType):
            if value.__globals__ is not vars(module) or value.__code__.co_filename != file:
                return False
        elif not isinstance(value, type):
            return False
        return name == "_pytest.legacypath" or str(name).partition(".")[0] in plugins

    # When the tests are known.

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection(self, session: Any) -> Iterator[None]:
        yield
        self._compare()
        self._look_at_imports()
        self._look_at_plugins()
        items = getattr(session, "items", None) or ()
        self._codes = {id(item): self._of_item(item) for item in items}
        self._next = _clock() + EVERY_S
        self._hooks = {name: self._implementations(name) for name in HOOKS}

    def _of_item(self, item: Any) -> tuple[Any, ...]:
        """What a test runs, as far as it is its own."""
        own = vars(item)
        return (id(code_of(own.get("_obj"))), *[own.get(name) for name in OWN_OF_ITEMS])

    def _look_at_imports(self) -> None:
        """A finder of the repository before the one that loads the test modules could load others."""
        for finder in sys.meta_path:
            if type(finder).__name__ == "AssertionRewritingHook":
                break
            owner = finder if isinstance(finder, type) else type(finder)
            file = getattr(sys.modules.get(owner.__module__), "__file__", None)
            if finder not in self._finders and isinstance(file, str) and self._project.relative(file) is not None:
                self._note("sys.meta_path", getattr(owner, "find_spec", None))
        else:
            if any(type(finder).__name__ == "AssertionRewritingHook" for finder in self._finders):
                self._note("sys.meta_path", None)

    def _look_at_plugins(self) -> None:
        """Modules may bring plugins by being one (a conftest, ``pytest_plugins``), not objects from the midst."""
        known = set(map(id, self._plugins))
        for plugin in self._config.pluginmanager.get_plugins() if self._config is not None else ():
            if id(plugin) in known or isinstance(plugin, types.ModuleType):
                continue
            owner = plugin if isinstance(plugin, type) else type(plugin)
            file = getattr(sys.modules.get(owner.__module__), "__file__", None)
            if not isinstance(file, str) or self._project.relative(file) is not None:
                self._note(f"a pytest plugin {owner.__module__}.{owner.__qualname__}", getattr(owner, "__init__", None))

    def _implementations(self, name: str) -> list[Any]:
        hook = getattr(self._config.hook, name, None)
        return [getattr(i.function, "__func__", i.function) for i in hook.get_hookimpls()] if hook is not None else []

    # Between the tests.

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> Iterator[None]:
        if self._codes.get(id(item), _ABSENT) != self._of_item(item):
            self._note(f"the test {item.nodeid}", vars(item).get("_obj"))
        yield
        now = _clock()
        if now > self._next:
            self._compare()
            self._next = now + EVERY_S
        else:
            for label, value in self._hot.differences():
                self._note(label, value)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: Any) -> Iterator[None]:
        yield
        self._compare()

    # The end.

    def finish(self) -> None:
        """After pytest: what is not as it was. What plugins changed at their start they may have taken back."""
        for label, value in self._whole.differences():
            if label not in self._settled:
                self._note(label, value)
        if self._config is not None and self._hooks:
            self._look_at_plugins()
            for name in HOOKS:
                known = set(map(id, self._hooks[name]))
                for function in self._implementations(name):
                    if id(function) not in known:
                        self._late(name, function)
        tracer = sys.gettrace()
        if tracer is not self._trace and self._traces_for_the_repository(tracer):
            self._note("sys.settrace", tracer)
        self._reporter.emit("guarded", changed=[[label, self._changed[label]] for label in self._changed])

    def _late(self, name: str, function: Any) -> None:
        code = code_of(function)
        path = self._project.relative(code.co_filename) if code is not None else None
        if path is not None and not path.endswith("conftest.py"):
            self._note(f"the hook {name}", function)

    def _traces_for_the_repository(self, tracer: Any) -> bool:
        code = code_of(getattr(tracer, "__func__", tracer))
        return code is not None and self._project.relative(code.co_filename) is not None


def taken() -> tuple[Fingerprint, Fingerprint]:
    """Snapshots of everything, and of the parts that are checked between all tests."""
    names = [*RUNNER, *(name for name in sys.modules if name.startswith("pluggy."))]
    whole = Fingerprint({name: sys.modules[name] for name in names if name in sys.modules})
    whole.add("builtins", vars(builtins), [name for name in vars(builtins) if name not in MAY_CHANGE])
    for module, single in TOOLS:
        whole.add(module.__name__, vars(module), single)
    plugin = vars(sys.modules["_ouro_pytest_plugin"]) if "_ouro_pytest_plugin" in sys.modules else {}
    whole.add("_ouro_pytest_plugin", plugin, ("json", "os"))
    for owner in (Guard, Fingerprint):
        whole.a_class(owner.__name__, owner)
    whole.add("_ouro_guard", globals(), ("function_of", "code_of", "is_run", "Guard", "Fingerprint"))
    hot = Fingerprint({})
    for name, keys in HOT.items():
        loaded = sys.modules.get(name)
        space = vars(loaded) if loaded is not None else {}
        for key in keys if keys is not None else [k for k in space if isinstance(space[k], types.FunctionType)]:
            hot.add(name, space, (key,))
            if isinstance(space.get(key), type):
                hot.a_class(f"{name}.{key}", space[key])
    return whole, hot


BEFORE = taken()
"""By the process that forks, once for all runs: it runs no line of the repository."""


def make(reporter: Any, project: Any, asked: dict[str, Any]) -> Guard:
    return Guard(reporter, project)
