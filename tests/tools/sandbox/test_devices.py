"""Root's runs start over read-only devices, in the file tree of the daemon."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOW = """
import subprocess
from tools.sandbox.devices import over_kept_devices
start = over_kept_devices()
assert start
subprocess.run([*start, "/bin/cat", "/mnt/mark"], check=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its root")
def test_a_run_does_not_leave_a_chroot(tmp_path: Path) -> None:
    root, inside = tmp_path / "root", tmp_path / "inside"
    root.mkdir()
    inside.mkdir()
    (inside / "mark").write_text("inside")
    steps = 'mount --rbind / "$1" && mount --bind "$2" "$1/mnt" && exec chroot "$1" "$3" -c "$4"'
    argv = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", steps, "sh"]
    ran = subprocess.run(
        [*argv, str(root), str(inside), sys.executable, SHOW],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "inside", ran.stderr
