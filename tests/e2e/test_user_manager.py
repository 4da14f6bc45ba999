"""`ouro service install` under a real systemd user manager: it runs, repairs, is restarted after a kill, and goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sample.build import build
from tests.e2e.user_manager import usable
from tests.e2e.world import own_environment

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
OURO = Path(sys.executable).with_name("ouro")
BUG = 4
SETTINGS = """
[kernel]
provider = "scripted"

[kernel.scripted]
script = "{script}"
"""
SCRIPT = """
infill = true

[[infills]]
prefix_ends = "        "
texts = ["cost += 900"]
"""
LIFE = r"""
set -eu
told() { systemctl --user show "$UNIT" -p "$1" --value; }
answers() { for _ in $(seq 100); do "$OURO" status >/dev/null 2>&1 && return 0; sleep 0.1; done; return 1; }
"$OURO" service install
UNIT=$(systemctl --user list-units 'ouroboros@*' --plain --no-legend | cut -d' ' -f1)
answers
echo "began: $(told ActiveState) $(told StatusText)"
"$PYTHON" "$SAMPLE" . --bug "$BUG" >/dev/null
for _ in $(seq 600); do [ "$(git log -1 --format=%an)" = Ouroboros ] && break; sleep 0.1; done
echo "commit by: $(git log -1 --format=%an)"
"$OURO" verify HEAD >/dev/null && echo "verified"
kill -9 "$(told MainPID)"
for _ in $(seq 100); do [ "$(told NRestarts)" = 1 ] && break; sleep 0.1; done
answers
echo "after the kill: $(told ActiveState), restarts $(told NRestarts)"
systemctl --user stop "$UNIT"
echo "stopped: $(told ActiveState) $(told Result)"
"$OURO" ledger verify >/dev/null && echo "the chain holds"
"$OURO" service uninstall >/dev/null
echo "unit files: $(ls "$XDG_CONFIG_HOME/systemd/user" | wc -l)"
"""


def test_the_service_lives_under_a_real_manager(tmp_path: Path) -> None:
    why_not = usable()
    if why_not:
        pytest.skip(f"no private user manager here: {why_not}")
    config, repo = tmp_path / "config", tmp_path / "shop"
    for folder in (config / "ouroboros", repo, tmp_path / "home"):
        folder.mkdir(parents=True)
    (tmp_path / "script.toml").write_text(SCRIPT)
    (config / "ouroboros" / "config.toml").write_text(SETTINGS.format(script=tmp_path / "script.toml"))
    own_environment(repo)
    build(repo)
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(config),
        "OURO": str(OURO), "PYTHON": sys.executable, "SAMPLE": str(ROOT / "sample" / "build.py"), "BUG": str(BUG),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    manager = ["unshare", "-m", "-C", sys.executable, "-m", "tests.e2e.user_manager", str(tmp_path)]
    done = subprocess.run(
        [*manager, "sh", "-c", LIFE], cwd=repo, env=environ, capture_output=True, text=True, timeout=180, check=False
    )
    told = [line for line in done.stdout.splitlines() if not line.startswith(("wrote ", "ouroboros@"))]
    assert (done.returncode, told) == (
        0,
        [
            "began: active ACTIVE",
            "commit by: Ouroboros",
            "verified",
            "after the kill: active, restarts 1",
            "stopped: inactive success",
            "the chain holds",
            "unit files: 0",
        ],
    ), done.stdout + done.stderr
