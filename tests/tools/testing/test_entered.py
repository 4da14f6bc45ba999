"""Which functions a run's tests enter and which files they load, as the run itself says."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.verification.reach import changed_functions
from ledger.vocabulary import RunCoverage, RunStatus
from tests.tools.testing.plain import PlainSandbox
from tests.tools.testing.projects import make_project
from tools.testing.runner import LookedFor

SHOP = """\
import threading


def in_a_test():
    return 1


def in_a_fixture():
    return 2


def in_a_thread():
    return 3


def in_steps():
    yield 4


async def awaited():
    return 5


def wrapped(function):
    def inner(*given):
        return function(*given)
    return inner


@wrapped
def decorated():
    return 6


class Cart:
    @property
    def total(self):
        return 7

    count = property(lambda self: 8)


def by_nobody():
    return 9


def stopped():
    return 10
"""
TESTS = """\
import asyncio
import sys
import threading

import pytest
from shop import *
import shop


@pytest.fixture
def given():
    return shop.in_a_fixture()


def test_all(given):
    assert in_a_test() + given == 3
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert list(in_steps()) == [4]
    assert asyncio.run(awaited()) == 5
    assert decorated() == 6
    assert Cart().total == 7
    assert Cart().count == 8
"""
FILES = {"shop.py": SHOP, "other.py": "def unused():\n    return 1\n", "tests/test_shop.py": TESTS}
LONG = "\n\ndef busy():\n    return 0\n"


async def seen_in(
    base: Path, environment: Path, plain: PlainSandbox, files: dict[str, str]
) -> tuple[RunCoverage, dict[tuple[str, int, str], str]]:
    project = await make_project(base, files, environment, plain)
    known = {
        (path, one.line, one.name): one.display_name
        for path in ("shop.py", "other.py")
        for one in changed_functions(None, files[path].encode()) or ()
    }
    asked = LookedFor(files=("shop.py", "other.py"), functions=tuple(known))
    async with project.runner().several(project.ws) as tests:
        run = await tests.run(("tests/test_shop.py",), looked_for=asked)
    assert run.status is RunStatus.GREEN, (run.reason, run.output)
    assert run.seen is not None
    return run.seen, known


async def test_what_runs_is_seen_however_it_is_called(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    seen, known = await seen_in(tmp_path, environment, plain, FILES)
    assert seen.files == {"shop.py"} and not seen.cut
    missed = {name for place, name in known.items() if place not in seen.functions}
    assert missed == {"by_nobody", "stopped", "unused", "wrapped", "wrapped.inner"} - _at_import(known, seen)


def _at_import(known: dict[tuple[str, int, str], str], seen: RunCoverage) -> set[str]:
    """What is called while the modules are loaded is seen from Python 3.12 on; a function inside runs in the test."""
    return {known[place] for place in seen.functions if known[place].startswith("wrapped")}


async def test_a_run_that_calls_very_much_is_not_slowed_down(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    test = "from shop import busy, stopped\n\n\ndef test_it():\n    [busy() for _ in range(60_000)]\n    stopped()\n"
    seen, known = await seen_in(
        tmp_path, environment, plain, {**FILES, "shop.py": SHOP + LONG, "tests/test_shop.py": test}
    )
    names = {known[place] for place in seen.functions}
    assert "busy" in names
    assert seen.cut is ("stopped" not in names)


async def test_a_run_that_is_not_asked_says_nothing(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    project = await make_project(tmp_path, FILES, environment, plain)
    run = await project.run(("tests/test_shop.py",))
    assert run.seen is None


@pytest.mark.parametrize("own", ["sys.settrace(lambda *_: None)", "sys.setprofile(lambda *_: None)"])
async def test_a_test_that_traces_by_itself_is_let_alone(
    tmp_path: Path, environment: Path, plain: PlainSandbox, own: str
) -> None:
    steps = (own, "assert by_nobody() == 9", "sys.settrace(None)")
    body = "".join(f"    {step}\n" for step in steps)
    test = f"import sys\n\nfrom shop import by_nobody\n\n\ndef test_it():\n{body}"
    seen, _ = await seen_in(tmp_path, environment, plain, {**FILES, "tests/test_shop.py": test})
    assert seen.files == {"shop.py"}
