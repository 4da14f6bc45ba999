"""Which back end is taken, and what the owner is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.places import HostEnv, Places
from tests.repos import host_env
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.choice import choose
from tools.sandbox.landlock import Landlock
from tools.sandbox.plain import Plain
from tools.sandbox.probe import interpreter, prove
from tools.sandbox.remedy import (
    APPARMOR,
    BETTER,
    FILTER,
    INSTALL,
    NAMESPACES_FULL,
    NOT_HELD,
    NOTHING,
    PROC,
    of_wall,
    remedy,
)
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import REQUIRED, Wall


def programs(folder: Path, **scripts: str) -> HostEnv:
    """A search path with nothing but ``scripts`` and the real prlimit."""
    folder.mkdir()
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    prlimit = shutil.which("prlimit")
    if prlimit:
        (folder / "prlimit").symlink_to(os.path.realpath(prlimit))
    return HostEnv(variables={}, path=str(folder))


async def test_bubblewrap_is_the_first_choice(bwrap: Bwrap, places: Places) -> None:
    begun = time.monotonic()
    choice = await choose(SandboxSettings(), places, host_env())
    assert choice.sandbox is not None and choice.sandbox.name == "bwrap" and choice.sandbox.maps_paths
    assert choice.sandbox.walls >= REQUIRED and choice.tried == () and choice.remedy == ""
    assert choice.sandbox.walls | choice.sandbox.missing == frozenset(Wall)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("home", ["the folder of the interpreter's folder", "the repository"])
async def test_what_the_sandbox_shows_of_the_home_is_no_hole(bwrap: Bwrap, places: Places, home: str) -> None:
    """Interpreters that version managers install lie in the owner's home; and a home may be a repository."""
    _, mounts = interpreter()
    if home == "the repository":
        folder = places.repo
    elif mounts:
        folder = mounts[0].target.parent.parent
    else:
        pytest.skip("this interpreter is one of the system")
    choice = await choose(SandboxSettings(), replace(places, home=folder), host_env())
    assert choice.sandbox is not None and (choice.sandbox.name, choice.tried) == ("bwrap", ())


async def test_without_bubblewrap_landlock_is_taken_and_the_package_is_named(
    landlock: Landlock, places: Places, tmp_path: Path
) -> None:
    choice = await choose(SandboxSettings(), places, programs(tmp_path / "bin"))
    assert choice.sandbox is not None and choice.sandbox.name == "landlock" and not choice.sandbox.maps_paths
    assert Wall.PROCESS_NAMESPACE in choice.sandbox.missing and "apt install bubblewrap" in choice.remedy
    assert choice.tried[0][0] == "bwrap"


async def test_nothing_means_no_sandbox_and_the_remedy(places: Places, tmp_path: Path) -> None:
    choice = await choose(SandboxSettings(backend="bwrap"), places, programs(tmp_path / "bin"))
    assert choice.sandbox is None and INSTALL in choice.remedy and NOTHING in choice.remedy


async def test_no_walls_only_where_the_owner_allows_it(places: Places) -> None:
    assert (await choose(SandboxSettings(backend="none"), places, host_env())).sandbox is None
    choice = await choose(SandboxSettings(backend="none", allow_unsandboxed=True), places, host_env())
    assert isinstance(choice.sandbox, Plain) and choice.sandbox.missing == frozenset(Wall)


async def test_a_refused_namespace_is_recognised(places: Places, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n"
    choice = await choose(SandboxSettings(backend="bwrap"), places, programs(tmp_path / "bin", bwrap=script))
    assert choice.sandbox is None and APPARMOR in choice.remedy
    assert [name for name, _ in choice.tried] == ["bwrap", "bwrap-compat"]
    assert "setting up uid map" in choice.tried[0][1]


REFUSING = """
import asyncio, ctypes, json, struct, sys
from pathlib import Path
from ledger.places import HostEnv
from tests.repos import make_places
from tools.sandbox.choice import choose
from tools.sandbox.launcher import Libc
from tools.sandbox.calls import NUMBERS
from tools.sandbox.seccomp import CLONE_NEW_NAMESPACE, Has, Rule, program
from tools.sandbox.settings import SandboxSettings
NUMBERS["landlock_create_ruleset"] = (444, 444)
base, *refused = sys.argv[1:]
namespaces = (Rule(1, ("unshare",)), Rule(38, ("clone3",)), Rule(1, ("clone",), ((Has(0, CLONE_NEW_NAMESPACE),),)))
rules = {"namespaces": namespaces, "landlock": (Rule(38, ("landlock_create_ruleset",)),)}
libc = Libc()
libc.prctl(38, 1)
for name in refused:
    libc.prctl_filter(program(rules[name]))
places = make_places(Path(base), Path(base, "repo"))
choice = asyncio.run(choose(SandboxSettings(), places, HostEnv(variables={}, path="/usr/bin:/bin:/usr/sbin:/sbin")))
chosen = choice.sandbox and [choice.sandbox.name, sorted(choice.sandbox.missing)]
print(json.dumps({"chosen": chosen, "tried": choice.tried, "remedy": choice.remedy}))
"""


def on_a_machine_that_refuses(base: Path, *what: str) -> dict[str, Any]:
    """The choice of a process to which the kernel refuses something, as a container's run-time does it."""
    argv = [sys.executable, "-c", REFUSING, str(base), *what]
    done = subprocess.run(argv, cwd=Path(__file__).parents[3], capture_output=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_where_user_namespaces_are_refused_landlock_is_taken(bwrap: Bwrap, landlock: Landlock, tmp_path: Path) -> None:
    found = on_a_machine_that_refuses(tmp_path, "namespaces")
    assert found["chosen"][0] == "landlock" and Wall.PROCESS_NAMESPACE in found["chosen"][1]
    assert [name for name, _ in found["tried"]] == ["bwrap", "bwrap-compat"] and found["remedy"] == APPARMOR


def test_where_landlock_is_missing_too_nothing_is_run(bwrap: Bwrap, tmp_path: Path) -> None:
    found = on_a_machine_that_refuses(tmp_path, "namespaces", "landlock")
    assert found["chosen"] is None and APPARMOR in found["remedy"] and NOTHING in found["remedy"]
    assert dict(found["tried"])["landlock"].startswith("The kernel's Landlock ABI is 0")


LIAR = """#!/bin/sh
# claims to have built the sandbox, and runs the command without one
while [ "$1" != "--" ]; do
  case "$1" in
    --json-status-fd) status=$2; shift;;
    --chdir) cd "$2"; shift;;
    --setenv) export "$2=$3"; shift; shift;;
  esac
  shift
done
shift
"$@"
code=$?
echo "{ \\"exit-code\\": $code }" > /proc/self/fd/$status
exit $code
"""


async def test_a_program_that_only_pretends_is_found_out(places: Places, tmp_path: Path) -> None:
    env = programs(tmp_path / "bin", bwrap=LIAR)
    choice = await choose(SandboxSettings(backend="bwrap"), places, env)
    assert choice.sandbox is None
    broken = {proof.wall for proof in choice.proofs if not proof.held}
    assert {Wall.NETWORK, Wall.WRITE_OUTSIDE, Wall.DAEMON_STATE, Wall.UNIX_SOCKETS} <= broken
    assert "was reached by tcp4" in choice.tried[0][1]


async def test_without_walls_every_required_attack_succeeds(places: Places, tmp_path: Path) -> None:
    plain = Plain(runs=tmp_path / "run", settings=SandboxSettings())
    held = {proof.wall for proof in await prove(plain, SandboxSettings(), places) if proof.held}
    if os.geteuid() == 0:
        assert held & REQUIRED <= {Wall.PRIVATE_HOME, Wall.KILLED_AS_ONE}  # no matter of walls: of how a run is made
    assert Wall.NETWORK not in held and Wall.WRITE_OUTSIDE not in held


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("bwrap (bubblewrap) is not installed.", INSTALL),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", APPARMOR),
        ("bwrap: No permissions to create a new namespace", APPARMOR),
        ("bwrap: Creating new namespace failed: No space left on device", NAMESPACES_FULL),
        ("bwrap: Can't mount proc on /newroot/proc", PROC),
        ("something never seen", ""),
    ],
)
def test_advice(said: str, advice: str) -> None:
    assert remedy([("bwrap", said), ("landlock", "no")]) == advice


@pytest.mark.parametrize(
    ("wall", "backend", "passed_over", "advice"),
    [
        (Wall.SOCKET_FAMILIES, "bwrap", False, FILTER),
        (Wall.SCHEDULING, "landlock", True, FILTER),
        (Wall.FILE_MARKS, "landlock", False, FILTER),
        (Wall.MONITOR, "bwrap", False, NOT_HELD),
        (Wall.MONITOR, "landlock", True, BETTER),
        (Wall.SYSTEM_CALLS, "none", True, BETTER),
    ],
)
def test_advice_for_a_wall(wall: Wall, backend: str, passed_over: bool, advice: str) -> None:
    assert of_wall(wall, backend, passed_over=passed_over) == advice
