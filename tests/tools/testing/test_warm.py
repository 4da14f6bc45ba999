"""Many runs in one warm process: nothing passes from one to the next, and no test holds one up for ever."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.vocabulary import Outcome, RunStatus, TestRun
from tests.repos import make_repo
from tests.tools.testing.projects import SHOP, SHOP_IDS, Backend, Project, make_environment, make_project
from tools.testing.runner import WarmTests
from tools.testing.warm import Frames

WALLS = pytest.mark.parametrize(
    "walls", ["bwrap", pytest.param("landlock", marks=pytest.mark.long), pytest.param("none", marks=pytest.mark.long)]
)
ALL_WALLS = pytest.mark.parametrize("walls", ["bwrap", "landlock", "none"])
LEAVES = """
import json, os, shop.cart, signal, subprocess, sys, tempfile, threading, time

def forever():
    while True:
        time.sleep(0.01)

def test_leave_everything():
    assert not hasattr(json, "left") and shop.cart.total([1]) == 1
    json.left = shop.cart.left = 1
    os.environ["LEFT"] = "1"
    os.umask(0)
    os.chdir("/")
    sys.setrecursionlimit(2000)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for folder in {os.environ["HOME"], os.environ["TMPDIR"], tempfile.gettempdir()}:
        os.makedirs(folder + "/left/deep", exist_ok=True)
        open(folder + "/left/deep/file", "w").close()
        os.chmod(folder + "/left/deep", 0)
    threading.Thread(target=forever).start()
    subprocess.Popen(["sh", "-c", "trap '' TERM; (setsid sleep 4321 &) ; sleep 4321"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "4321"])
        os._exit(0)
"""
FINDS = """
import json, os, shop.cart, signal, subprocess, sys, tempfile, threading

def test_find_nothing():
    assert not hasattr(json, "left") and not hasattr(shop.cart, "left")
    assert "LEFT" not in os.environ and os.path.exists("shop/cart.py")
    assert os.umask(0o22) == 0o22 and sys.getrecursionlimit() == 1000
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    for folder in {os.environ["HOME"], os.environ["TMPDIR"], tempfile.gettempdir()}:
        assert not os.path.exists(folder + "/left")
    assert threading.active_count() == 1
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = open("/proc/" + entry + "/cmdline").read().split(chr(0))
            except OSError:
                continue
            assert "4321" not in words

def test_the_code_is_fresh():
    assert shop.cart.total([1]) == 2
"""


@contextlib.asynccontextmanager
async def warm(project: Project) -> AsyncIterator[WarmTests]:
    async with project.runner().warm(project.ws) as tests:
        yield tests


def outcomes(run: TestRun) -> dict[str, Outcome]:
    return {result.id.partition("::")[2]: result.outcome for result in run.results}


@ALL_WALLS
async def test_nothing_passes_from_one_run_to_the_next(tmp_path: Path, environment: Path, walls: Backend) -> None:
    files = SHOP | {"tests/test_leaves.py": LEAVES, "tests/test_finds.py": FINDS}
    project = await make_project(tmp_path, files, environment, walls)
    async with warm(project) as tests:
        for _ in range(2):
            await tests.reset()
            run = await tests.run(["tests/test_leaves.py"])
            assert (run.status, run.reason) == (RunStatus.GREEN, ""), run
            await tests.reset()
            project.write({"shop/cart.py": "def total(prices, off=0):\n    return sum(prices) - off + 1\n"})
            run = await tests.run(["tests/test_finds.py"])
            assert (run.status, run.reason) == (RunStatus.GREEN, ""), run
    assert not is_running("4321")


def is_running(word: str) -> bool:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and word in (entry / "cmdline").read_text().split("\0"):
                found.append(entry.name)
    return bool(found)


def wait_for(word: str) -> None:
    end = time.monotonic() + 20
    while not is_running(word):
        assert time.monotonic() < end
        time.sleep(0.02)


HANGS = """
import os, re, subprocess, threading, time

def test_before(): pass

def test_loop():
    while True:
        pass

def test_in_c():
    re.match(r"(a+)+$", "a" * 64 + "b")

def test_deadlock():
    lock = threading.Lock()
    with lock:
        with lock:
            pass

def test_child():
    subprocess.run(["sleep", "4322"])

def test_deaf():
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    time.sleep(60)

def test_after():
    threading.Thread(target=time.sleep, args=(60,)).start()
"""


@WALLS
async def test_a_test_that_does_not_end_is_stopped_and_says_where(
    tmp_path: Path, environment: Path, walls: Backend
) -> None:
    project = await make_project(tmp_path, {"test_h.py": HANGS}, environment, walls)
    async with warm(project) as tests:
        run = await tests.run(test_s=0.7)
    red, green = Outcome.FAILED, Outcome.PASSED
    assert outcomes(run) == {
        "test_before": green, "test_loop": red, "test_in_c": red, "test_deadlock": red, "test_child": red,
        "test_deaf": red, "test_after": green,
    }  # fmt: skip
    assert (run.status, run.reason) == (RunStatus.RED, "5 of 7 tests failed.")
    assert {result.exception for result in run.red} == {"TimeLimit"}
    where = {result.id.partition("::")[2]: [f.line for f in result.frames] for result in run.red}
    assert where.pop("test_loop")[0] in (7, 8)
    assert where == {"test_in_c": [11], "test_deadlock": [16], "test_child": [20], "test_deaf": []}
    assert not is_running("4322")


@WALLS
async def test_limits_of_single_tests_and_an_early_end(tmp_path: Path, environment: Path, walls: Backend) -> None:
    files = {
        "test_s.py": "import time\ndef test_slow(): time.sleep(1.2)\ndef test_hang(): time.sleep(60)\ndef test_c(): 0\n"
    }
    project = await make_project(tmp_path, files, environment, walls)
    async with warm(project) as tests:
        run = await tests.run(test_s=0.5, limits={"test_s.py::test_slow": 20}, to_the_end=False)
        assert outcomes(run) == {"test_slow": Outcome.PASSED, "test_hang": Outcome.FAILED}
        assert (run.status, run.reason) == (RunStatus.RED, "test_s.py::test_hang was stopped at its time limit.")
        run = await tests.run(test_s=0.5, limits={"test_s.py::test_slow": 20}, limit_s=2.2)
        assert run.status is RunStatus.TIMEOUT and run.reason.endswith("No time was left.")


@WALLS
async def test_a_process_that_a_test_ends_is_replaced(tmp_path: Path, environment: Path, walls: Backend) -> None:
    files = SHOP | {
        "test_kill.py": "import os\ndef test_kill(): os.kill(os.getppid(), 9); __import__('time').sleep(60)\n"
    }
    project = await make_project(tmp_path, files, environment, walls)
    async with warm(project) as tests:
        for _ in range(2):
            run = await tests.run(["test_kill.py"])
            assert run.status is RunStatus.INCONCLUSIVE, run
            run = await tests.run(SHOP_IDS)
            assert (run.status, run.reason) == (RunStatus.GREEN, "")


@ALL_WALLS
async def test_what_is_not_in_the_commit_stays_in_reach(tmp_path: Path, packages: Path, walls: Backend) -> None:
    """The environment and a generated file lie in the checkout; a reset of the copy takes neither away."""
    files = SHOP | {".gitignore": ".venv\n_version.py\n", "tests/test_v.py": "import shop._version\ndef test_v(): 0\n"}
    repo = make_repo(tmp_path / "repo", files)
    make_environment(repo / ".venv", packages, repo)
    (repo / "shop/_version.py").write_text("version = 1\n")
    project = await make_project(tmp_path, files, None, walls)
    assert project.environment.prefix == repo / ".venv" and project.environment.needs
    async with warm(project) as tests:
        for _ in range(3):
            run = await tests.run()
            assert (run.status, run.reason) == (RunStatus.GREEN, ""), run
            (project.ws.root / "left.txt").touch()
            await tests.reset()
            assert not (project.ws.root / "left.txt").exists()


MEMORY = """
import os
from multiprocessing import resource_tracker, shared_memory

def test_leave():
    assert not os.listdir("/dev/shm")
    held = shared_memory.SharedMemory("left", create=True, size=4096)
    resource_tracker.unregister(held._name, "shared_memory")
    open("/dev/shm/file", "w").close()
"""


async def green_twice(tests: WarmTests) -> None:
    for _ in range(2):
        run = await tests.run()
        assert (run.status, run.reason) == (RunStatus.GREEN, ""), run


async def test_shared_memory_is_gone_with_the_run(tmp_path: Path, environment: Path) -> None:
    project = await make_project(tmp_path, {"test_m.py": MEMORY}, environment, "bwrap")
    async with warm(project) as tests:
        await green_twice(tests)


async def test_a_run_sets_no_limits_for_the_next_one(tmp_path: Path, environment: Path) -> None:
    test = (
        "import os, resource\n"
        "def test_limits():\n"
        "    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64\n"
        "    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (64, 64))\n"
        "    assert resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)[0] == 64\n"
    )
    project = await make_project(tmp_path, {"test_limits.py": test}, environment, "bwrap")
    async with warm(project) as tests:
        await green_twice(tests)


async def test_what_cannot_be_cleaned_up_ends_the_process(tmp_path: Path, environment: Path) -> None:
    """System V shared memory outlives its makers, but not the sandbox's own namespace."""
    shm = (
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "def test_shm():\n"
        "    assert len(open('/proc/sysvipc/shm').readlines()) == 1\n"
        "    assert libc.shmget(4711, 4096, 0o1600) >= 0\n"
    )
    project = await make_project(tmp_path, {"test_shm.py": shm}, environment, "bwrap")
    async with warm(project) as tests:
        await green_twice(tests)


FOREIGN = "import os\nPID = os.getpid()\n"
SAYS = """
import os, shop.cart, sys
import {name}

def test_says():
    own = {name}.PID == os.getpid()
    assert "shop" in sys.modules and not hasattr({name}, "left")
    {name}.left = 1
    assert own is not os.path.exists("shared")
"""


@pytest.mark.parametrize(
    ("source", "shared"),
    [
        pytest.param(FOREIGN, True, id="a module"),
        pytest.param(FOREIGN + "import threading\nthreading.Thread(target=threading.Event().wait).start()\n", False,
                     id="one with a thread"),
        pytest.param(FOREIGN + "os.environ['SET'] = '1'\n", False, id="one that sets the environment"),
        pytest.param(FOREIGN + "import tempfile\nHERE = tempfile.mkdtemp()\n", False, id="one with a folder"),
        pytest.param(FOREIGN + "import shop.cart\n", False, id="one that imports the repository"),
        pytest.param(FOREIGN + "import sys\nif 'shop' not in sys.modules: os._exit(3)\n", False,
                     id="one that ends the process"),
    ],
)  # fmt: skip
async def test_what_is_not_the_repositorys_is_imported_once(
    tmp_path: Path, packages: Path, source: str, shared: bool
) -> None:
    """From the second run on, by the process that forks; never where that would not be safe."""
    files = SHOP | {".gitignore": ".venv\n", "tests/test_says.py": SAYS.format(name="foreign_module")}
    repo = make_repo(tmp_path / "repo", files)
    site = make_environment(repo / ".venv", packages, repo)
    (next((repo / ".venv/lib").glob("python*")) / "site-packages/foreign_module.py").write_text(source)
    project = await make_project(tmp_path, files, None, "bwrap")
    async with warm(project) as tests:
        first = await tests.run(["tests/test_says.py"])
        assert (first.status, first.reason) == (RunStatus.GREEN, ""), (first, site)
        for _ in range(2):
            await tests.reset()
            if shared:
                (project.ws.root / "shared").touch()
            run = await tests.run(["tests/test_says.py"])
            assert (run.status, run.reason) == (RunStatus.GREEN, ""), run
            project.write({"shop/cart.py": "def total(prices, off=0):\n    return 7\n"})
            run = await tests.run(SHOP_IDS)
            assert run.status is RunStatus.RED, run


LIES = """
import os

def test_lie():
    for fd in range(3, 64):
        try:
            name = os.readlink("/proc/self/fd/" + str(fd))
        except OSError:
            continue
        if "ouro-modules" in name:
            os.pwrite(fd, b'[["shop.evil", false]]', 0)
            os._exit(0)
"""


async def test_a_run_that_lies_about_its_modules_gets_nothing_imported(tmp_path: Path, packages: Path) -> None:
    evil = (
        "import sys\nopen('poisoned', 'w').close()\nfor name in ('shop', 'shop.evil'):\n    sys.modules.pop(name, 0)\n"
    )
    files = SHOP | {".gitignore": ".venv\n", "tests/test_lies.py": LIES, "shop/evil.py": evil}
    repo = make_repo(tmp_path / "repo", files)
    make_environment(repo / ".venv", packages, repo)
    project = await make_project(tmp_path, files, None, "bwrap")
    async with warm(project) as tests:
        run = await tests.run(["tests/test_lies.py"])
        assert run.status is RunStatus.INCONCLUSIVE
        run = await tests.run(SHOP_IDS)
        assert (run.status, run.reason) == (RunStatus.GREEN, "")
    assert not (project.ws.root / "poisoned").exists()


async def test_a_cancelled_run_leaves_nothing(tmp_path: Path, environment: Path) -> None:
    files = {"test_h.py": "import subprocess\ndef test_h(): subprocess.run(['sleep', '4323'])\n"}
    project = await make_project(tmp_path, files, environment, "bwrap")
    async with warm(project) as tests:
        under_way = asyncio.ensure_future(tests.run())
        await asyncio.to_thread(wait_for, "4323")
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert not is_running("4323")


async def test_a_stopped_process_is_given_up(
    tmp_path: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code under test may stop the process that watches it; the run ends all the same."""
    monkeypatch.setattr("tools.testing.warm.BACKSTOP_S", 0.5)
    files = SHOP | {"test_s.py": "import os, signal\ndef test_s(): os.kill(os.getppid(), signal.SIGSTOP)\n"}
    project = await make_project(tmp_path, files, environment, "bwrap")
    async with warm(project) as tests:
        run = await tests.run(["test_s.py"], limit_s=2)
        assert run.status is RunStatus.INCONCLUSIVE
        assert (await tests.run(SHOP_IDS)).status is RunStatus.GREEN


@given(st.lists(st.binary(max_size=40)), st.integers(1, 7))
def test_frames_survive_any_bytes(junk: list[bytes], size: int) -> None:
    frames = Frames(1_000, 1_000)
    good = b"R%08x%s" % (5, b"hello")
    data = good + b"".join(junk)
    for start in range(0, len(data), size):
        frames.take(data[start : start + size])
    if frames.end is None and not frames.flaw:
        assert frames.lost("gone").finished.report.startswith(b"hello")
