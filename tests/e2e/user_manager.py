"""A private systemd user manager, for the time of one command. Run as a program, as root:

``unshare -m -C python -m tests.e2e.user_manager FOLDER COMMAND...``

It has its own ``/run`` and its own branch of the control groups, so that nothing of the machine's own manager is seen
or touched; both go with the process. The manager's log stands in ``FOLDER/manager.log``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

SYSTEMD = Path("/usr/lib/systemd/systemd")
GROUP = Path("/sys/fs/cgroup/ouroboros-test.slice")
LIMIT_S = 20.0


def usable() -> str:
    """Why there can be no private manager here; empty when there can."""
    if os.geteuid() != 0:
        return "needs root"
    if not SYSTEMD.exists():
        return "systemd is not installed"
    probe = ["unshare", "-m", "-C", "sh", "-c", "mount -t tmpfs t /run && mount -t cgroup2 none /sys/fs/cgroup"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return done.stderr.strip()


def mounted() -> Path:
    """Its own runtime folder, in which a booted system is believed to be, and its own control groups."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    runtime = Path(f"/run/user/{os.getuid()}")
    for folder in (runtime, Path("/run/systemd/system")):
        folder.mkdir(parents=True, mode=0o700)
    subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
    GROUP.mkdir(exist_ok=True)
    (GROUP / "cgroup.procs").write_text(str(os.getpid()))
    return runtime


def left_behind() -> None:
    """The control groups go too; this process has to leave them first."""
    GROUP.with_name("cgroup.procs").write_text(str(os.getpid()))
    for folder, _, _ in os.walk(GROUP, topdown=False):
        Path(folder).rmdir()


def main(folder: Path, command: list[str]) -> int:
    os.environ["XDG_RUNTIME_DIR"] = str(mounted())
    with (folder / "manager.log").open("wb") as log:
        manager = subprocess.Popen([SYSTEMD, "--user", "--log-target=console"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + LIMIT_S
        while subprocess.run(["systemctl", "--user", "is-system-running"], capture_output=True, check=False).returncode:
            if time.monotonic() > deadline:
                raise SystemExit("the manager did not come up: " + (folder / "manager.log").read_text()[-2_000:])
            time.sleep(0.1)
        return subprocess.run(command, check=False).returncode
    finally:
        manager.terminate()
        manager.wait(LIMIT_S)
        left_behind()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
