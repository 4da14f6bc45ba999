"""Suites that misbehave: bounded, explained, cleaned up; the repository is as it was."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ledger.vocabulary import RunStatus
from sensors.failing_tests import needs_network
from tests.repos import git
from tests.tools.testing.projects import SHOP, Project, make_project
from tests.tools.testing.test_warm import is_running

NET = "import socket\ndef test_net(): socket.create_connection(('{}', 80), timeout=5)\n"
BINARY = "import os\ndef test_b():\n    os.write(1, bytes(range(256)) * 999)\n    assert 0, '\\udcff\\0\\x1b[31m'\n"
WRITES = (
    "import pathlib, shop.cart\ndef test_w():\n"
    "    for path in pathlib.Path('.').rglob('*.py'): path.write_text('broken(')\n"
)
DAEMONS = (
    "import subprocess\ndef test_d():\n"
    "    subprocess.Popen(['setsid', 'sh', '-c', 'trap \"\" TERM HUP; sleep 4322 & sleep 4322'])\n"
)
MEMORY = "def test_m():\n    held = []\n    while True: held.append(bytearray(64 << 20))\n"
MANY = "import pytest\n@pytest.mark.parametrize('n', range(20_000))\ndef test_n(n): assert n != 7\n"
ENDLESS = "def test_o():\n    while True: print('x' * 10_000, flush=True)\n"
Case = tuple[str, dict[str, object], RunStatus, str]
CASES: dict[str, Case] = {
    # what the suite does; settings; how the run ends, and a word of its reason or of the first failure
    "the network": (NET.format("example.org"), {}, RunStatus.RED, ""),
    "an address": (NET.format("192.0.2.1"), {}, RunStatus.RED, ""),
    "binary output": (BINARY, {}, RunStatus.RED, ""),
    "output without end": (ENDLESS, {"args": ["-s"]}, RunStatus.INCONCLUSIVE, "too much output"),
    "writes": (WRITES, {}, RunStatus.GREEN, ""),
    "daemons": (DAEMONS, {}, RunStatus.GREEN, ""),
    "memory": (MEMORY, {}, RunStatus.RED, "MemoryError"),
    "a slow import": ("import time\ntime.sleep(31)\ndef test_s(): pass\n", {}, RunStatus.GREEN, ""),
    "an import without end": (
        "import time\ntime.sleep(600)\ndef test_s(): pass\n", {"scoped_s": 4}, RunStatus.TIMEOUT, "",
    ),
    "20,000 tests": (MANY, {"scoped_s": 300}, RunStatus.RED, ""),
}  # fmt: skip


QUICK = {"the network", "binary output", "writes", "daemons"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.long]) for name in CASES]
)
async def test_it_is_bounded_explained_and_cleaned_up(tmp_path: Path, environment: Path, name: str) -> None:
    source, settings, status, word = CASES[name]
    project = await make_project(tmp_path, SHOP | {"test_bad.py": source}, environment, "bwrap", **settings)
    began = time.monotonic()
    run = await project.run(["test_bad.py"])
    assert run.status is status, (run.reason, run.output[-400:])
    assert time.monotonic() - began < 120
    assert run.reason or run.status is RunStatus.GREEN
    said = run.reason + "".join(result.exception + result.message for result in run.red)
    assert word in said
    assert len(run.output) < 100_000
    run.model_dump_json().encode("utf-8")
    assert not is_running("4322")
    assert git(project.repo, "status", "--porcelain") == ""
    if name in ("the network", "an address"):
        assert all(needs_network(result) for result in run.red) and run.red
    if name == "20,000 tests":
        assert len(run.results) == 20_000 and [r.id for r in run.red] == ["test_bad.py::test_n[7]"]
    await after(project)


async def after(project: Project) -> None:
    """The copy can be used again, whatever the suite has left in it."""
    await project.ws.reset()
    again = await project.run(["tests/test_cart.py"])
    assert (again.status, again.reason) == (RunStatus.GREEN, ""), again
