"""Runs one command through ``launcher.py``, which ends all processes of the command, even if the daemon dies."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from functools import lru_cache
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

from ledger.errors import SandboxError
from tools.process import REPORT_FD, Command, Finished, run
from tools.sandbox.channel import status_pipe
from tools.sandbox.launcher import remove_unless_in_use
from tools.sandbox.limits import MIB
from tools.sandbox.plan import RunPlan, encode_plan
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job

LAUNCHER = Path(__file__).with_name("launcher.py")
HEADER_BYTES = 16  # header of a compiled module: magic number, flags, and the source's time and size


def folders_of_runs(runs: Path) -> tuple[Path, ...]:
    """Folders of this user's runs whose paths begin with ``runs``. Those of running ones are locked."""
    return tuple(path for path in runs.parent.glob(f"{runs.name}-*") if _is_own(path))


def _is_own(folder: Path) -> bool:
    try:
        return folder.lstat().st_uid == os.getuid()
    except FileNotFoundError:  # its run has just ended
        return False


def _remove_dead(runs: Path) -> None:
    for folder in folders_of_runs(runs):
        remove_unless_in_use(str(folder))


@lru_cache
def launcher() -> Path:
    """The launcher's compiled file if it is up to date, else its source, which takes longer to start."""
    compiled = Path(cache_from_source(str(LAUNCHER)))
    source = LAUNCHER.stat()
    wanted = MAGIC_NUMBER + struct.pack("<III", 0, int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
    try:
        with compiled.open("rb") as file:
            return compiled if file.read(HEADER_BYTES) == wanted else LAUNCHER
    except OSError:
        return LAUNCHER


def launch_command(job: Job, plan: RunPlan, *, python: Path, settings: SandboxSettings) -> Command:
    """The command line of the launcher. Its environment has the secrets of the job only."""
    argv = [str(python), "-I", "-S", str(launcher()), encode_plan(plan)]
    if job.report_env is not None:
        argv += [job.report_env, REPORT_FD]
    return Command(
        argv=tuple(argv),
        cwd=Path("/"),
        env=job.secrets,
        timeout_s=job.timeout_s,
        grace_s=settings.gone_s,  # for the launcher to kill all: it finds also what left its group
        stdin=job.stdin,
        talk=job.talk,
        spool=job.spool,
        cap_bytes=settings.output_kb * 1024,
        flood_bytes=settings.flood_mb * MIB,
        pass_fds=(plan["status_fd"],),
        report=job.report_env is not None,
        speaks=job.speaks,
        report_cap_bytes=settings.report_mb * MIB,
    )


async def launch(command: Callable[[int], Command], runs: Path) -> Finished:
    """Run ``command``, built for a status descriptor. Raises ``SandboxError`` if the job was never started.

    ``runs``: prefix of the paths of folders of runs; those of launchers that were killed are removed afterwards.
    """
    try:
        with status_pipe() as status:
            finished = await run(command(status.write_fd))
            ready = status.text()
    finally:
        await asyncio.to_thread(_remove_dead, runs)
    if not ready and not (finished.timed_out or finished.flooded):
        lines = finished.output.decode("utf-8", errors="replace").strip().splitlines()
        raise SandboxError(
            f"The sandbox could not be built: {lines[-1] if lines else f'exit code {finished.code}'}.",
            remedy="`ouro doctor` shows which walls hold here.",
        )
    return finished
