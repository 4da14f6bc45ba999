from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.lifecycle.instance import Instance, last_holder
from ledger.clock import ManualClock
from ledger.errors import InstanceHeld
from ledger.faults import machine_fault
from ledger.places import Places
from tests.ledger.test_open import lay
from tests.repos import make_places, make_repo

CLOCK = ManualClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "ours", make_repo(tmp_path / "repo"))


def test_a_second_holder_is_told_who_holds(places: Places) -> None:
    who = f"process {os.getpid()}, since 2026-01-02"
    with Instance.acquire(places, CLOCK), pytest.raises(InstanceHeld, match=who):
        Instance.acquire(places, CLOCK)
    with Instance.acquire(places, CLOCK):
        pass
    assert last_holder(places) is None


HOLD = """
import subprocess, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from daemon.lifecycle.instance import Instance
from ledger.clock import SystemClock
from tests.repos import make_places
instance = Instance.acquire(make_places(Path({ours!r}), Path({repo!r})), SystemClock())
child = subprocess.Popen(["sleep", "30"], close_fds=False)
print(child.pid, flush=True)
time.sleep(30)
"""


def test_a_killed_holder_frees_the_repository_even_with_a_child_alive(places: Places, tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    code = HOLD.format(root=root, ours=str(tmp_path / "ours"), repo=str(places.repo))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(InstanceHeld, match=f"process {holder.pid}"):
                Instance.acquire(places, CLOCK)
            holder.kill()
            holder.wait()
            held = last_holder(places)
            assert held is not None and held.pid == holder.pid
            deadline = time.monotonic() + 5
            while True:
                try:
                    Instance.acquire(places, CLOCK).release()
                    break
                except InstanceHeld:
                    assert time.monotonic() < deadline
        finally:
            os.kill(child, 9)


def test_a_torn_note_is_no_trouble(places: Places) -> None:
    with Instance.acquire(places, CLOCK):
        (places.state / "instance.json").write_text("{torn")
        with pytest.raises(InstanceHeld, match="another process"):
            Instance.acquire(places, CLOCK)


@pytest.mark.parametrize("name", ["instance.lock", "instance.part", "instance.json"])
@pytest.mark.parametrize("kind", ["a named pipe", "a symbolic link", "a folder"])
def test_what_is_no_file_in_the_place_of_one_never_holds_up_a_start(places: Places, name: str, kind: str) -> None:
    places.state.mkdir(parents=True, exist_ok=True)
    lay(places.state / name, kind)
    if name == "instance.json" and kind != "a folder":
        assert last_holder(places) is None
        with Instance.acquire(places, CLOCK):  # replaced as a whole, nothing is written through it
            assert last_holder(places) is not None
        return
    with pytest.raises(OSError) as caught:
        Instance.acquire(places, CLOCK)
    fault = machine_fault(caught.value)
    assert name in fault.message and kind in fault.message and "move it away" in fault.remedy


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import daemon.cli
from daemon.lifecycle.instance import Instance
from ledger.clock import SystemClock
from tests.repos import make_places
places = make_places(Path({ours!r}), Path({repo!r}))
def start(*_, **__):
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    Instance.acquire(places, SystemClock())
daemon.cli.build_app = lambda: start
daemon.cli.main()
"""


def test_a_disk_that_takes_nothing_is_a_sentence(places: Places, tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    code = FULL.format(root=root, ours=str(tmp_path / "ours"), repo=str(places.repo))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "instance.part cannot be used: File too large" in done.stderr and "ulimit -f" in done.stderr
    with Instance.acquire(places, CLOCK):
        pass
