"""Real projects, real pytest runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.vocabulary import Outcome, RunStatus, TestRun
from tests.repos import commit
from tests.tools.testing.plain import PlainSandbox
from tests.tools.testing.projects import (
    BROKEN,
    SHOP,
    SHOP_IDS,
    Project,
    make_environment,
    make_project,
    shared_packages,
)
from tools.testing.report.verdict import IMPORT_TIME
from tools.testing.runner import Changes


async def project_of(
    tmp_path: Path, files: dict[str, str], environment: Path, plain: PlainSandbox, **settings: object
) -> Project:
    return await make_project(tmp_path, files, environment, plain, **settings)


def outcomes(run: TestRun) -> dict[str, Outcome]:
    return {result.id: result.outcome for result in run.results}


async def test_a_flat_project_green_then_red(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    project = await project_of(tmp_path, SHOP, environment, plain)
    run = await project.run()
    assert (run.status, run.reason, run.collected, run.passed) == (RunStatus.GREEN, "", SHOP_IDS, 3)
    project.write(BROKEN)
    run = await project.run()
    assert (run.status, run.reason) == (RunStatus.RED, "1 of 3 tests failed.")
    (red,) = run.red
    assert (red.id, red.outcome, red.exception) == (SHOP_IDS[2], Outcome.FAILED, "AssertionError")
    assert "assert 13 == 7" in red.message and "total([10], off)" in red.detail
    assert [(f.path, f.line, f.function) for f in red.frames] == [("tests/test_cart.py", 11, "test_off")]
    assert "1 failed, 2 passed" in run.output
    assert not list(project.ws.root.rglob("__pycache__")) and not os.listdir(tmp_path / "tmp")


async def test_chosen_tests_a_class_a_file_and_a_lost_id(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    files = SHOP | {
        "tests/test_old.py": (
            "import unittest\nfrom shop.cart import total\n\n\n"
            "class Old(unittest.TestCase):\n"
            "    def test_sum(self):\n        self.assertEqual(total([1]), 2)\n"
            "    def test_each(self):\n        for n in (1, 2, 3):\n            with self.subTest(n=n):\n"
            "                self.assertNotEqual(n, 2)\n"
            "    @unittest.expectedFailure\n    def test_known(self):\n        self.fail('known')\n"
            "    @unittest.skip('later')\n    def test_later(self):\n        pass\n"
        )
    }
    project = await project_of(tmp_path, files, environment, plain)
    run = await project.run(["tests/test_old.py::Old"])
    old = "tests/test_old.py::Old::"
    assert outcomes(run) == {
        f"{old}test_each": Outcome.FAILED,
        f"{old}test_known": Outcome.XFAILED,
        f"{old}test_later": Outcome.SKIPPED,
        f"{old}test_sum": Outcome.FAILED,
    }
    assert run.status is RunStatus.RED
    run = await project.run([SHOP_IDS[2]])
    assert run.collected == (SHOP_IDS[2],) and run.status is RunStatus.GREEN
    run = await project.run(["tests/test_cart.py::test_off"])
    assert run.collected == SHOP_IDS[1:]
    run = await project.run([SHOP_IDS[0], "tests/test_cart.py::test_gone"])
    assert run.status is RunStatus.INCONCLUSIVE and "tests/test_cart.py::test_gone" in run.reason
    run = await project.run(["tests/test_none.py::test_x"])
    assert run.status is RunStatus.INCONCLUSIVE and "its file is gone" in run.reason
    run = await project.run(expected=[*SHOP_IDS, "tests/test_cart.py::test_lost"])
    assert run.status is RunStatus.INCONCLUSIVE and "test_lost" in run.reason


async def test_a_broken_module_is_red_under_its_files_name(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    files = SHOP | {"tests/test_other.py": "def test_fine():\n    pass\n"}
    project = await project_of(tmp_path, files, environment, plain)
    project.write({"shop/cart.py": "def total(:\n"})
    run = await project.run(expected=[*SHOP_IDS, "tests/test_other.py::test_fine"])
    assert (run.status, run.reason) == (RunStatus.RED, "1 of 2 tests failed.")
    (red,) = run.red
    assert (red.id, red.outcome, red.exception) == ("tests/test_cart.py", Outcome.ERROR, "SyntaxError")
    assert (red.frames[-1].path, red.frames[-1].line) == ("shop/cart.py", 1)
    assert (await project.run([SHOP_IDS[0]])).status is RunStatus.RED
    project.write({"tests/conftest.py": "import shop.cart\n", "tests/test_cart.py": SHOP["tests/test_cart.py"]})
    run = await project.run(["tests/test_cart.py"])
    assert run.status is RunStatus.RED and {r.id for r in run.red} == {"tests/conftest.py"}
    assert run.red[0].exception == "SyntaxError"
    project.write({"conftest.py": "import missing_thing\n"})
    run = await project.run()
    assert run.status is RunStatus.RED and [r.id for r in run.red] == ["conftest.py"]
    assert run.red[0].exception == "ModuleNotFoundError"


async def test_fixture_and_teardown_errors(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    files = {
        "test_it.py": (
            "import pytest\n\n@pytest.fixture\ndef bad():\n    raise ValueError('set-up')\n\n"
            "@pytest.fixture\ndef late():\n    yield\n    raise KeyError('tear-down')\n\n"
            "def test_a(bad): pass\n"
            "def test_b(late): pass\n"
            "def test_c(late): assert False\n"
            "@pytest.mark.xfail(strict=True)\ndef test_d(): pass\n"
            "@pytest.mark.xfail\ndef test_e(): pass\n"
            "class Odd(Exception):\n    def __str__(self): raise RuntimeError\n"
            "def test_f(): raise Odd\n"
        )
    }
    project = await project_of(tmp_path, files, environment, plain)
    run = await project.run()
    by_id = {result.id[-1]: result for result in run.results}
    assert {key: (r.outcome, r.exception) for key, r in by_id.items()} == {
        "a": (Outcome.ERROR, "ValueError"),
        "b": (Outcome.ERROR, "KeyError"),
        "c": (Outcome.FAILED, "AssertionError"),
        "d": (Outcome.FAILED, ""),
        "e": (Outcome.XPASSED, ""),
        "f": (Outcome.FAILED, "Odd"),
    }


async def test_no_tests_and_only_skips_are_inconclusive(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    project = await project_of(tmp_path, {"shop.py": "X = 1\n"}, environment, plain)
    run = await project.run()
    assert (run.status, run.reason) == (RunStatus.INCONCLUSIVE, "No test was collected.")
    project.write({"test_s.py": "import pytest\n\n@pytest.mark.skip\ndef test_x(): pass\n"})
    run = await project.run()
    assert (run.status, run.reason) == (RunStatus.INCONCLUSIVE, "No test ran: all 1 were skipped.")
    assert (await project.run([])).status is RunStatus.INCONCLUSIVE


async def test_a_hanging_test_is_red_and_a_run_without_end_a_time_out_that_names_it(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    files = {"test_h.py": "import time\ndef test_ok(): pass\ndef test_hang(): time.sleep(60)\n"}
    project = await project_of(tmp_path, files, environment, plain)
    run = await project.run(limit_s=4.0)
    assert (run.status, run.reason) == (RunStatus.RED, "test_h.py::test_hang was stopped at its time limit.")
    assert outcomes(run) == {"test_h.py::test_ok": Outcome.PASSED, "test_h.py::test_hang": Outcome.FAILED}
    run = await project.run(limit_s=4.0, expected=["test_h.py::test_ok", "test_h.py::test_gone"])
    assert run.status is RunStatus.INCONCLUSIVE and "test_h.py::test_gone" in run.reason
    project.write({"test_h.py": "import time\n" + "".join(f"def test_{n}(): time.sleep(1)\n" for n in range(9))})
    run = await project.run(limit_s=4.0)
    assert run.status is RunStatus.TIMEOUT and "in test_h.py::test_" in run.reason
    assert set(outcomes(run).values()) == {Outcome.PASSED}


FORGED = {
    "exit": "import os\ndef test_a(): pass\ndef test_b(): os._exit(0)\n",
    "end record and exit": (
        "import os, json\n\ndef test_a():\n"
        "    for fd in range(3, 50):\n"
        "        try: os.write(fd, json.dumps({'e': 'end', 'exit': 0, 'collected': 1, 'results': 1, 'k': '', 'n': 9}"
        ").encode() + b'\\n')\n"
        "        except OSError: pass\n"
        "    os._exit(0)\n"
    ),
    "extra line": (
        "import os\n\ndef test_a():\n"
        "    for fd in range(3, 50):\n"
        "        try: os.write(fd, b'{}\\n')\n"
        "        except OSError: pass\n"
    ),
    "closed": "import os\n\ndef test_a():\n    os.closerange(3, 50)\n",
    "interrupted": "def test_a(): raise KeyboardInterrupt\ndef test_b(): pass\n",
    "exit status": (
        "import os\nleave = os._exit\nos._exit = lambda code: leave(0)\ndef test_a(): assert False\n"
    ),
    "own results": (
        "import gc\n\ndef test_a():\n"
        "    for thing in gc.get_objects():\n"
        "        if type(thing).__name__ == 'Reporter':\n"
        "            thing.emit('end', exit=0, collected=1, results=1)\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("trick", sorted(FORGED))
async def test_a_forged_or_torn_report_is_never_believed(
    tmp_path: Path, environment: Path, plain: PlainSandbox, trick: str
) -> None:
    project = await project_of(tmp_path, {"test_f.py": FORGED[trick]}, environment, plain)
    run = await project.run()
    assert run.status is RunStatus.INCONCLUSIVE, run
    assert run.reason


async def test_a_fork_does_not_write_into_the_report(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    files = {
        "test_f.py": (
            "import os, subprocess, sys\n\n"
            "def test_fork():\n    pid = os.fork()\n    if pid == 0:\n        return\n"
            "    assert os.waitpid(pid, 0)[1] == 0\n"
            "def test_after(): pass\n"
            "def test_threads_and_children():\n"
            "    assert subprocess.run([sys.executable, '-c', 'import os; print(os.environ.get(\"OURO_REPORT_FD\"))'],"
            " capture_output=True, text=True).stdout.strip() == 'None'\n"
        )
    }
    project = await project_of(tmp_path, files, environment, plain)
    run = await project.run()
    assert (run.status, len(run.results)) == (RunStatus.GREEN, 3), run


async def test_the_owners_options_are_respected_where_they_do_no_harm(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    files = SHOP | {
        "pyproject.toml": (
            "[tool.pytest.ini_options]\n"
            "addopts = '-x -ra --strict-markers --strict-config --ff -W error -m \"not slow\"'\n"
            "markers = ['slow']\ntestpaths = ['tests']\n"
        ),
        "tests/test_more.py": (
            "import os, pytest\ndef test_x(): assert 0\ndef test_y(): assert os.read(0, 9) == b''\n"
            "@pytest.mark.slow\ndef test_z(): pass\n"
        ),
        "other/test_not_in_testpaths.py": "def test_no(): pass\n",
    }
    project = await project_of(tmp_path, files, environment, plain)
    run = await project.run()
    assert run.status is RunStatus.RED and len(run.red) == 1
    assert run.collected == (*SHOP_IDS, "tests/test_more.py::test_x", "tests/test_more.py::test_y")
    run = await project.run(["tests/test_more.py::test_z"])
    assert run.status is RunStatus.INCONCLUSIVE and "test_z" in run.reason


async def test_refused_arguments_and_a_broken_interpreter_are_infra(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    project = await project_of(tmp_path, SHOP, environment, plain, args=("--no-such-option",))
    run = await project.run()
    assert run.status is RunStatus.INFRA and "--no-such-option" in run.reason
    bare = make_environment(tmp_path / "bare")
    project = await project_of(tmp_path, SHOP, bare, plain)
    run = await project.run()
    assert run.status is RunStatus.INFRA and "pytest is not installed" in run.reason
    (bare / "lib").joinpath(next((bare / "lib").iterdir()).name, "site-packages", "pytest-8.0.dist-info").mkdir()
    project = await project_of(tmp_path, SHOP, bare, plain)
    run = await project.run()
    assert run.status is RunStatus.INFRA and "No module named 'pytest'" in run.reason


@pytest.mark.parametrize("threaded", [False, True])
async def test_coverage_is_by_test_and_of_the_project_only(
    tmp_path: Path, environment: Path, plain: PlainSandbox, threaded: bool
) -> None:
    call = "total([10], 3)"
    if threaded:
        call = "ThreadPoolExecutor().submit(total, [10], 3).result()"
    files = SHOP | {
        "shop/cart.py": "RATE = 1\ndef total(prices, off=0):\n    if off:\n        return 1\n    return sum(prices)\n",
        "tests/test_cart.py": (
            "from concurrent.futures import ThreadPoolExecutor\nfrom shop.cart import total\n"
            f"def test_a(): assert total([1]) == 1\ndef test_b(): assert {call} == 7\n"
        ),
    }
    project = await project_of(tmp_path, files, environment, plain)
    run = await project.run(coverage=True)
    assert run.status is RunStatus.RED
    assert run.coverage["tests/test_cart.py::test_a"]["shop/cart.py"] == (3, 5)
    assert run.coverage["tests/test_cart.py::test_b"]["shop/cart.py"] == (3, 4)
    assert run.coverage[IMPORT_TIME]["shop/cart.py"] == (1, 2)
    assert {p for cover in run.coverage.values() for p in cover} <= {"shop/__init__.py", *files}
    assert (await project.run()).coverage == {}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a line costs nothing there when it ran once")
async def test_a_long_test_is_traced_for_a_while_and_a_red_one_to_its_end(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    files = SHOP | {
        "shop/cart.py": (
            "def total(prices, off=0):\n    sum_ = 0\n    for price in prices:\n        sum_ += price\n"
            "    if off:\n        return rest(sum_)\n    return sum_\n\n\ndef rest(cents):\n    return cents + 1\n"
        ),
        "tests/test_cart.py": (
            "from shop.cart import rest, total\nMANY = [1] * 60_000\n"
            "def test_long(): assert total(MANY, 1) == 60_001\n"
            "def test_red(): assert total(MANY, 1) == 7\n"
            "def test_short(): assert rest(1) == 2\n"
        ),
    }
    project = await project_of(tmp_path, files, environment, plain)
    run = await project.run(coverage=True)
    long, red, short = (run.coverage[f"tests/test_cart.py::test_{name}"] for name in ("long", "red", "short"))
    assert run.cut == ("tests/test_cart.py::test_long",)
    assert long["shop/cart.py"] == (2, 3, 4)
    assert red["shop/cart.py"] == (2, 3, 4, 5, 6, 11) and short["shop/cart.py"] == (11,)
    assert [r.id for r in run.results] == list(run.collected) and len(run.red) == 1
    chosen = await project.run(["tests/test_cart.py::test_long"], coverage=True)
    assert chosen.cut == () and chosen.coverage["tests/test_cart.py::test_long"]["shop/cart.py"][-1] == 11


async def test_coverage_tells_apart_files_that_read_the_same(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    rate = "def rate():\n    return 7\n"
    test = "from shop import cart, till\ndef test_cart(): assert cart.rate()\ndef test_till(): assert till.rate()\n"
    files = SHOP | {"shop/cart.py": rate, "shop/till.py": rate, "tests/test_cart.py": test}
    run = await (await project_of(tmp_path, files, environment, plain)).run(coverage=True)
    for name in ("cart", "till"):
        seen = run.coverage[f"tests/test_cart.py::test_{name}"]
        assert {path: lines for path, lines in seen.items() if path.startswith("shop")} == {f"shop/{name}.py": (2,)}


SRC = {f"src/{name}" if name.startswith("shop") else name: text for name, text in SHOP.items()}


async def test_a_src_layout_with_an_editable_install_imports_the_copy(
    tmp_path: Path, packages: Path, plain: PlainSandbox
) -> None:
    repo = tmp_path / "repo"
    environment = make_environment(tmp_path / "venv", packages, repo / "src")
    project = await project_of(tmp_path, SRC, environment, plain)
    assert project.environment.roots[0] == "src"
    project.write({"src/shop/cart.py": BROKEN["shop/cart.py"]})
    run = await project.run()
    assert run.status is RunStatus.RED and len(run.red) == 1


async def test_a_run_on_the_owners_files_does_not_count(tmp_path: Path, packages: Path, plain: PlainSandbox) -> None:
    repo = tmp_path / "repo"
    environment = make_environment(tmp_path / "venv", packages)
    site = next((environment / "lib").glob("python3.*/site-packages"))
    (site / "early.pth").write_text(f"import sys; sys.path.insert(0, {str(repo / 'src')!r})\n")
    project = await project_of(tmp_path, SRC, environment, plain)
    project.write({"src/shop/cart.py": BROKEN["shop/cart.py"]})
    run = await project.run()
    assert run.status is RunStatus.INCONCLUSIVE and "which is not the copy under test" in run.reason


async def test_ignored_files_that_tests_need_are_there(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    files = SHOP | {
        ".gitignore": "_version.py\n.venv/\n__pycache__/\n*.so\n",
        "shop/__init__.py": "from shop._version import version\n",
    }
    project = await project_of(tmp_path, files, environment, plain)
    (project.repo / "shop/_version.py").write_text("version = '1.0'\n")
    (project.repo / "shop/__pycache__").mkdir()
    project = await project_of(tmp_path, files, environment, plain)
    assert project.environment.needs == ("shop/_version.py",)
    assert (await project.run()).status is RunStatus.GREEN
    assert await project.ws.diff() == b""
    await project.ws.reset()
    assert not (project.ws.root / "shop/_version.py").exists()


async def test_a_flaky_test_is_told_as_it_is(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    flag = tmp_path / "flag"
    files = {"test_f.py": f"import pathlib\ndef test_f():\n    assert pathlib.Path({str(flag)!r}).exists()\n"}
    project = await project_of(tmp_path, files, environment, plain)
    assert (await project.run()).status is RunStatus.RED
    flag.touch()
    assert (await project.run()).status is RunStatus.GREEN


async def test_no_root_module_can_shadow_the_standard_library_for_us(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    files = SHOP | {"json.py": "raise SystemExit('shadowed')\n", "types.py": "raise SystemExit('shadowed')\n"}
    project = await project_of(tmp_path, files, environment, plain)
    commit(project.repo, "same")
    assert (await project.run()).status is RunStatus.GREEN


async def test_thousands_of_ids_are_no_problem(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    files = {
        "test_many.py": "import pytest\n@pytest.mark.parametrize('n', range(1000))\ndef test_n(n): assert n != 999\n"
    }
    project = await project_of(tmp_path, files, environment, plain)
    ids = [f"test_many.py::test_n[{n}]" for n in range(1000)]
    run = await project.run(ids, expected=ids)
    assert run.status is RunStatus.RED and len(run.results) == 1000


def installed(version: str) -> str:
    """An interpreter of that version; skips where there is none."""
    beside = Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python3")
    python = shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin") or next(beside, None)
    if python is None:
        pytest.skip(f"Python {version} is not installed here")
    return str(python)


@pytest.mark.parametrize("version", ["3.12", "3.13"])
async def test_newer_interpreters_trace_by_monitoring(
    tmp_path: Path, packages: Path, plain: PlainSandbox, version: str
) -> None:
    python = installed(version)
    await asyncio.to_thread(subprocess.run, [python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    site = next((tmp_path / "venv/lib").glob("python3.*/site-packages"))
    (site / "shared.pth").write_text(f"{packages}\n")
    project = await project_of(tmp_path, SHOP | BROKEN, tmp_path / "venv", plain)
    run = await project.run(coverage=True)
    assert f"{project.environment.version[0]}.{project.environment.version[1]}" == version
    assert run.status is RunStatus.RED and len(run.red) == 1
    assert [run.coverage[test]["shop/cart.py"] for test in SHOP_IDS] == [(2, 3)] * 3
    assert run.coverage[IMPORT_TIME]["shop/cart.py"] == (1,)


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.9", "3.10"])
async def test_older_interpreters_run_screen_and_trace(tmp_path: Path, plain: PlainSandbox, version: str) -> None:
    """With the newest pytest that still runs there; skips where the registry cannot be reached."""
    venv = tmp_path / "venv"
    await asyncio.to_thread(subprocess.run, [installed(version), "-m", "venv", venv], check=True)
    fetched = await asyncio.to_thread(
        subprocess.run, [venv / "bin/pip", "install", "-q", "pytest"], capture_output=True, check=False
    )
    if fetched.returncode != 0:
        pytest.skip("pytest cannot be fetched here")
    project = await project_of(tmp_path, SHOP | BROKEN, venv, plain)
    async with project.runner().warm(project.ws) as tests:
        run = await tests.run(coverage=True)
        assert [red.id for red in run.red] == [SHOP_IDS[2]] and run.coverage[SHOP_IDS[2]]["shop/cart.py"] == (2, 3)
        text = BROKEN["shop/cart.py"]
        at = text.index("+ off")
        edits = [("shop/cart.py", at, at + 1, sign) for sign in "-*"]
        changes = Changes(edits=edits, lengths={"shop/cart.py": len(text)})
        found = await tests.screen([SHOP_IDS[2]], changes, limit_s=20)
        assert found == {0: frozenset({SHOP_IDS[2]}), 1: frozenset()}
        probed = await tests.run([SHOP_IDS[2]], probe=[("shop/cart.py", 1, "total")])
        assert any(answer.said.startswith("gives ") for answer in probed.answers)


async def test_doctests_that_the_owner_configured_are_tests_too(
    tmp_path: Path, environment: Path, plain: PlainSandbox
) -> None:
    documented = 'def half(n):\n    """Half of it.\n\n    >>> half(5)\n    2\n    """\n    return n // 2\n'
    files = {
        "shop/__init__.py": "",
        "shop/half.py": documented,
        "README.txt": ">>> from shop.half import half\n>>> half(8)\n4\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--doctest-modules --doctest-glob=*.txt'\n",
    }
    project = await project_of(tmp_path, files, environment, plain)
    ids = ("README.txt::README.txt", "shop/half.py::shop.half.half")
    run = await project.run()
    assert (run.status, run.reason, run.collected) == (RunStatus.GREEN, "", ids)
    project.write({"shop/half.py": documented.replace("// 2", "// 3")})
    run = await project.run(["shop/half.py::shop.half.half"])
    (red,) = run.red
    assert red.id == "shop/half.py::shop.half.half" and "Expected:" in red.message + red.detail


async def test_a_suite_that_the_owner_runs_in_several_processes(
    tmp_path: Path, packages: Path, plain: PlainSandbox
) -> None:
    """The owner's options stay; only the workers go, who would report to nobody and whose lines nobody would trace."""
    xdist = shared_packages(tmp_path / "xdist", ("pytest-xdist", "execnet"))
    own = make_environment(tmp_path / "venv", packages, xdist)
    options = {"pytest.ini": "[pytest]\naddopts = -n 2 --dist loadscope --strict-markers\n"}
    project = await project_of(tmp_path, SHOP | BROKEN | options, own, plain)
    run = await project.run(coverage=True)
    assert (run.status, run.collected) == (RunStatus.RED, SHOP_IDS) and [red.id for red in run.red] == [SHOP_IDS[2]]
    assert run.coverage[SHOP_IDS[2]]["shop/cart.py"] == (2, 3)


CONFTEST = """import pytest


def pytest_addoption(parser):
    parser.addoption("--site", default="none")


def pytest_make_parametrize_id(config, val, argname):
    return f"{argname}={val}"


def pytest_collection_modifyitems(items):
    items.reverse()


@pytest.fixture
def site(request):
    return request.config.getoption("--site")


@pytest.fixture(autouse=True)
def rate(monkeypatch):
    import shop.cart

    monkeypatch.setattr(shop.cart, "RATE", 2)
"""


async def test_a_conftest_does_all_that_it_may(tmp_path: Path, environment: Path, plain: PlainSandbox) -> None:
    """Options, ids, order and fixtures are the owner's; a chosen test keeps its id."""
    files = SHOP | {
        "shop/cart.py": "RATE = 1\ndef total(n):\n    return n * RATE\n",
        "tests/conftest.py": CONFTEST,
        "tests/test_cart.py": (
            "import pytest\nfrom shop.cart import total\n\n\n@pytest.mark.parametrize('n', [1, 2])\n"
            "def test_n(n, site):\n    assert site == 'east' and total(n) == 2 * n\n"
        ),
        "pytest.ini": "[pytest]\naddopts = --site=east\n",
    }
    project = await project_of(tmp_path, files, environment, plain)
    ids = ("tests/test_cart.py::test_n[n=2]", "tests/test_cart.py::test_n[n=1]")
    run = await project.run(coverage=True)
    assert (run.status, run.reason, run.collected) == (RunStatus.GREEN, "", ids)
    run = await project.run([ids[1]])
    assert (run.status, run.collected) == (RunStatus.GREEN, ids[1:])


async def test_a_plugin_that_the_owner_has_installed(tmp_path: Path, packages: Path, plain: PlainSandbox) -> None:
    """Tests that only a plugin can run, with a setting of its own."""
    plugin = shared_packages(tmp_path / "plugin", ("pytest-asyncio", "typing_extensions"))
    own = make_environment(tmp_path / "venv", packages, plugin)
    files = SHOP | {
        "pytest.ini": "[pytest]\nasyncio_mode = auto\n",
        "tests/test_later.py": (
            "import asyncio\nfrom shop.cart import total\n\n\n"
            "async def test_good():\n    await asyncio.sleep(0)\n    assert total([1]) == 1\n\n\n"
            "async def test_bad():\n    await asyncio.sleep(0)\n    assert total([1]) == 2\n"
        ),
    }
    project = await project_of(tmp_path, files, own, plain)
    run = await project.run(["tests/test_later.py"], coverage=True)
    later = "tests/test_later.py::test_"
    assert outcomes(run) == {f"{later}good": Outcome.PASSED, f"{later}bad": Outcome.FAILED}
    assert run.coverage[f"{later}bad"]["shop/cart.py"] == (2, 3)
