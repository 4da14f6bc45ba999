"""One child process at a time: started when the machine is calm, watched while it runs."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
LOOK_S, PATIENCE_S = 3.0, 1800.0


def busy_s() -> float:
    """Seconds of all cores since the start of the machine, without idling; what a host stole counts as busy."""
    user, nice, system, _idle, _wait, irq, soft, stolen, *_ = map(
        int, Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + soft + stolen) / TICKS


def busy_cores() -> float:
    """Over a short while. The load average would still remember the child before for minutes."""
    before, began = busy_s(), time.monotonic()
    time.sleep(LOOK_S)
    return (busy_s() - before) / (time.monotonic() - began)


def wait_until_calm(below: float | None) -> None:
    """Goes on after half an hour, with a word: the figures of a busy machine show how busy it was."""
    end = time.monotonic() + PATIENCE_S
    while below is not None and (busy := busy_cores()) >= below:
        if time.monotonic() > end:
            say(f"the machine does not become calm: {busy:.1f} cores are busy")
            return
        say(f"waiting: {busy:.1f} cores are busy")
        time.sleep(10)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def run(
    module: str, job: dict[str, Any], *, python: str, timeout_s: float, calm: float | None = None
) -> dict[str, Any]:
    """What the child delivered, with ``watch``: load before and after, what others computed, most anonymous memory.

    A child that failed gives ``error`` with the end of what it printed.
    """
    wait_until_calm(calm)
    with tempfile.TemporaryDirectory(prefix="ob-kernel-") as name:
        base = Path(name)
        (base / "job").write_text(json.dumps({**job, "result": str(base / "result")}), encoding="utf-8")
        with (base / "log").open("wb") as log:
            child = subprocess.Popen(
                [python, "-m", f"bench.kernel.{module}", str(base / "job")],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            watch = watched(child, timeout_s)
        if (base / "result").is_file():
            found: dict[str, Any] = json.loads((base / "result").read_text(encoding="utf-8"))
        else:
            tail = (base / "log").read_text(encoding="utf-8", errors="replace").strip()[-1500:]
            found = {"error": f"exit status {child.returncode}: {tail}"}
    return {**found, "watch": watch}


def watched(child: subprocess.Popen[bytes], timeout_s: float) -> dict[str, float]:
    """Waits for the end of the child; kills it, with what it started, when it takes too long."""
    load, busy, own, began = os.getloadavg()[0], busy_s(), children_s(), time.monotonic()
    most = 0.0
    try:
        while child.poll() is None:
            if time.monotonic() - began > timeout_s:
                kill_group(child.pid)
            most = max(most, sum(map(anonymous_mb, (child.pid, *children_of(child.pid)))))
            time.sleep(0.2)
    finally:
        kill_group(child.pid)
        child.wait()
    seconds = time.monotonic() - began
    others = (busy_s() - busy - (children_s() - own)) / seconds
    return {
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "seconds": seconds,
        "anonymous_mb": most,
        "others_cores": max(0.0, others),
    }


def children_s() -> float:
    """Processor time of all children that have ended, and of this process."""
    kinds = (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


def kill_group(pid: int) -> None:
    """Of a session leader that has not been waited for, or that has left nobody behind."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """A rival may be a program of its own, beside the small one that asks it (some 20 MB, counted too)."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    except FileNotFoundError:  # it has ended
        return []


def anonymous_mb(pid: int) -> float:
    """What a process holds beside mapped files; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)
