"""Which back end confines untrusted code on this machine: the first that proves its walls."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from ledger.errors import OuroError, ProgramMissing
from ledger.places import HostEnv, Places
from ledger.programs import find_program
from tools.sandbox import launcher
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.landlock import Landlock
from tools.sandbox.launch import folders_of_runs
from tools.sandbox.limits import MIB
from tools.sandbox.plain import Plain
from tools.sandbox.probe import interpreter, prove
from tools.sandbox.remedy import no_sandbox, remedy
from tools.sandbox.seccomp import SHARED, program
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import SYSTEM
from tools.sandbox.types import REQUIRED, Choice, Proof, Sandbox

LEAST_ABI = 3
MEMORY = Path("/dev/shm")
ROOM_FOR = 4  # runs that fill their private folders


async def choose(settings: SandboxSettings, places: Places, env: HostEnv) -> Choice:
    """Try the back ends in order, each with its production command line.

    Never raises for a machine that cannot confine: ``Choice.sandbox`` is then None (or the one without walls, where
    the owner allowed it) and ``Choice.remedy`` advises.
    """
    tried: list[tuple[str, str]] = []
    seen: tuple[Proof, ...] = ()
    for name, backend in candidates(settings, places, env):
        if isinstance(backend, str):
            tried.append((name, backend))
            continue
        try:
            proofs = await prove(backend, settings, places)
        except OuroError as error:
            tried.append((name, error.message))
            continue
        walls = frozenset(proof.wall for proof in proofs if proof.held)
        if walls >= REQUIRED:
            return Choice(backend.proven(walls), proofs, tuple(tried), remedy(tried))
        broken = (proof.detail for proof in proofs if proof.wall in REQUIRED and not proof.held)
        tried.append((name, " ".join(broken)))
        seen = seen or proofs
    last: Sandbox | None = None
    if settings.allow_unsandboxed:
        last = Plain(runs=_on_disk(places), settings=settings)
    return Choice(last, seen, tuple(tried), no_sandbox(tried))


def candidates(settings: SandboxSettings, places: Places, env: HostEnv) -> Iterator[tuple[str, Bwrap | Landlock | str]]:
    """The back ends that the settings allow, best first; instead of one that cannot be tried, the reason."""
    hidden = places.own_folders
    if settings.backend in ("auto", "bwrap"):
        found = _programs(env)
        if isinstance(found, str):
            yield "bwrap", found
        else:
            bwrap, prlimit = found
            for compat in (False, True):
                box = Bwrap(program=bwrap, prlimit=prlimit, settings=settings, hidden=hidden, compat=compat)
                yield box.name, box
    if settings.backend in ("auto", "landlock"):
        yield (
            "landlock",
            _no_landlock()
            or Landlock(python=interpreter()[0], runs=_runs(places, settings), settings=settings, hidden=hidden),
        )


def left_behind(places: Places) -> tuple[Path, ...]:
    """Folders of runs. Those of running ones are locked; the others were left by a killed daemon."""
    return (*folders_of_runs(_on_disk(places)), *folders_of_runs(_in_memory(places)))


def _runs(places: Places, settings: SandboxSettings) -> Path:
    """Path prefix of the folders with HOME and TMPDIR of runs without a file tree of their own.

    In memory where that is large enough for several runs and may hold programs, else on disk.
    """
    try:
        space = os.statvfs(MEMORY)
    except OSError:
        return _on_disk(places)
    free = space.f_bavail * space.f_frsize
    fits = free > ROOM_FOR * settings.scratch_mb * MIB and not space.f_flag & os.ST_NOEXEC
    return _in_memory(places) if fits and os.access(MEMORY, os.W_OK) else _on_disk(places)


def _on_disk(places: Places) -> Path:
    return places.cache / "sandbox" / places.repo_id / "run"


def _in_memory(places: Places) -> Path:
    return MEMORY / f"ouroboros-{os.getuid()}-{places.repo_id}-run"


def _programs(env: HostEnv) -> tuple[Path, Path] | str:
    try:
        bwrap = find_program("bwrap", env)
    except ProgramMissing as error:
        return error.message if error.refused else "bwrap (bubblewrap) is not installed."
    try:
        real = find_program("prlimit", env).resolve()
    except ProgramMissing as error:
        none = "prlimit (util-linux) is not installed, and bubblewrap alone sets no limits."
        return error.message if error.refused else none
    if not any(Path(top) in real.parents for top in SYSTEM):
        return f"prlimit lies in {str(real.parent)!r}, which is not seen inside."
    return bwrap, real


def _no_landlock() -> str:
    if program(SHARED) is None:
        return f"There is no system-call table for {platform.machine()}."
    abi = launcher.landlock_abi(launcher.Libc())
    return "" if abi >= LEAST_ABI else f"The kernel's Landlock ABI is {abi}; {LEAST_ABI} is needed (Linux 6.2)."
