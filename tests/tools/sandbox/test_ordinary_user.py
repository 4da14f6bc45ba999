"""The one wall that root does not have, proven twice as everybody else meets it: the kernel does not count for root.

For an ordinary user the tables of walls that are taken away hold this one already.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.sandbox.boxes import Box
from tools.sandbox.types import Wall

SOMEBODY = 12345
ROOT = Path(__file__).parents[3]
PROVING = """
import asyncio, json, os, sys
from pathlib import Path
from ledger.places import HostEnv
from tests.repos import make_places
from tests.tools.sandbox import test_bwrap_walls as bwrap, test_landlock_walls as landlock
from tools.sandbox.choice import candidates
from tools.sandbox.probe import prove
from tools.sandbox.settings import SandboxSettings
base, name = Path(sys.argv[1]), sys.argv[2]
(base / "repo").mkdir()
places, settings = make_places(base, base / "repo"), SandboxSettings()
box = dict(candidates(settings, places, HostEnv(variables={}, path=os.defpath)))[name]
module = {"bwrap": bwrap, "landlock": landlock}[name]
kinds = {"whole": type(box), "without": module.WithoutProcessLimit}
found = {}
for label, kind in kinds.items():
    proofs = asyncio.run(prove(module.rebuilt(box, kind), settings, places))
    found[label] = sorted(proof.wall for proof in proofs if not proof.held)
print(json.dumps(found))
"""


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder of somebody else's."""
    folder = Path(tempfile.mkdtemp(prefix="ob-"))
    os.chown(folder, SOMEBODY, SOMEBODY)
    yield folder
    shutil.rmtree(folder)


def as_somebody(*argv: str, cwd: Path, most: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python as an ordinary user who may have ``most`` processes.

    Ours, or the system's where ours lies in a folder that nobody else may enter.
    """

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))

    packages = sysconfig.get_paths()["purelib"]
    env = {"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(cwd)}
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, shutil.which(own, path=os.defpath) or sys.executable):
        try:
            done = subprocess.run(
                [program, "-c", *argv],
                cwd=cwd,
                env=env,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                user=SOMEBODY,
                group=SOMEBODY,
                extra_groups=[],
                preexec_fn=limit,
            )
        except PermissionError:
            continue
        if done.returncode == 0 or "ModuleNotFoundError" not in done.stderr:
            return done
    pytest.skip("no interpreter here that an ordinary user may run")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user meets this wall in the tables of walls taken away")
def test_the_number_of_processes_is_bounded_for_everybody_but_root(box: Box, theirs: Path) -> None:
    done = as_somebody(PROVING, str(theirs), box.name, cwd=theirs)
    assert done.returncode == 0, done.stderr
    found = {label: set(walls) for label, walls in json.loads(done.stdout).items()}
    assert found["without"] - found["whole"] == {Wall.PROCESS_LIMIT}, found
    assert Wall.PROCESS_LIMIT not in found["whole"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can set a lower limit for somebody else")
def test_the_walls_stand_where_the_owner_may_have_fewer_processes_than_the_settings_say(box: Box, theirs: Path) -> None:
    done = as_somebody(PROVING, str(theirs), box.name, cwd=theirs, most=300)
    assert done.returncode == 0, done.stderr
    assert Wall.PROCESS_LIMIT not in json.loads(done.stdout)["whole"]
