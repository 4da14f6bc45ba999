"""Tests of our own that have to fail. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed in the sandbox, by the process that runs the tests. The sentinels are run by the same
machinery as the tests: one before the first, one in the middle, and the others after the last. They are in no
list of tests, in no output and in no count, no conftest sees them, and their names are random. Their outcomes are
reported as ``sentinel``: if one passes, something makes tests pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import _pytest.fixtures
import _pytest.python
import _pytest.runner
import pytest


class Bait:
    """A value of a class of its own: it equals nothing else."""

    def __init__(self, value: int) -> None:
        self.value = value


class Number(int):
    """A number of a class of its own."""


def sentinels(names: dict[str, str]) -> dict[str, Any]:
    """The functions that have to fail, by kind."""
    code = int(names["unequal"][-6:], 16)

    def unequal() -> None:
        have, want = [code, "a"], [code + 1, "a"]
        assert have == want

    def raising() -> None:
        raise LookupError(names["raising"])

    def own() -> None:
        assert Number(code) == Number(code + 2) or Bait(code) == Bait(code)

    return {"unequal": unequal, "raising": raising, "own": own}


EXPECTED = {"unequal": AssertionError, "raising": LookupError, "own": AssertionError}


def told(item: Any, excinfo: Any) -> str:
    """Of a sentinel's failure: no source, no frames."""
    return str(excinfo.exconly())


class Sentinels:
    """The pytest plugin. ``names``: of the sentinels, by kind."""

    def __init__(self, reporter: Any, names: dict[str, str]) -> None:
        self._reporter, self._names = reporter, names
        self._functions = sentinels(names)
        self._index = 0
        self._failed: set[str] = set()
        self._middle = -1
        self._hooks: Any = None

    def pytest_collection_finish(self, session: Any) -> None:
        count = len(session.items)
        self._middle = count // 2 if count > 2 else -1

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> Iterator[None]:
        if self._index == 0:
            self._stand(item.session, item.parent, item, ("unequal",))
        elif self._index == self._middle:
            self._stand(item.session, item.parent, item, ("raising",))
        self._index += 1
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: Any) -> Iterator[None]:
        yield
        if self._index:
            left = tuple(kind for kind in EXPECTED if kind not in self._failed)
            self._stand(session, session, None, left, last=True)

    def _stand(self, session: Any, parent: Any, nextitem: Any, kinds: tuple[str, ...], *, last: bool = False) -> None:
        """Run sentinels where tests run now."""
        if self._hooks is None:
            self._hooks = self._hooks_for_sentinels(session)
        for kind in kinds:
            reports = self._one(parent, self._names[kind], self._functions[kind], nextitem)
            call = next((r for r in reports if r.when == "call"), None)
            out = call.outcome if call is not None else "none"
            said = str(getattr(call, "longrepr", ""))
            fits = said.startswith((EXPECTED[kind].__name__, "assert "))
            if out == "failed":
                self._failed.add(kind)
            self._reporter.emit("sentinel", name=self._names[kind], out=str(out), fits=fits, last=last)

    def _one(self, parent: Any, name: str, function: Any, nextitem: Any) -> list[Any]:
        settled = _pytest.python.Function
        own = {"ihook": self._hooks, "repr_failure": told, "__module__": settled.__module__}
        kind: Any = type("Function", (settled,), own)
        nothing = _pytest.fixtures.FuncFixtureInfo((), (), [], {})
        item: Any = kind.from_parent(parent, name=name, callobj=function, fixtureinfo=nothing)
        return list(_pytest.runner.runtestprotocol(item, log=False, nextitem=nextitem))

    def _hooks_for_sentinels(self, session: Any) -> Any:
        """What every test's hooks are, without the conftests and those who count results."""
        manager = session.config.pluginmanager
        left_out = set(getattr(manager, "_conftest_plugins", ()))
        left_out |= {p for p in manager.get_plugins() if type(p).__module__.startswith("_ouro_") and p is not self}
        return Hooks(manager, left_out)


class Hooks:
    """Hooks without some plugins; as pytest has them for tests outside of a conftest's folder."""

    def __init__(self, manager: Any, left_out: set[Any]) -> None:
        self._manager, self._left_out = manager, left_out

    def __getattr__(self, name: str) -> Any:
        found = self._manager.subset_hook_caller(name, remove_plugins=self._left_out)
        self.__dict__[name] = found
        return found


def make(reporter: Any, project: Any, asked: dict[str, Any]) -> Sentinels:
    return Sentinels(reporter, asked["names"])
