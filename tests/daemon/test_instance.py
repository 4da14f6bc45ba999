from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.instance import Instance, last_holder
from ledger.clock import ManualClock
from ledger.errors import InstanceHeld
from ledger.places import Places
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
from daemon.instance import Instance
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
