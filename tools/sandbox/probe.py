"""Proves a sandbox on this machine: its production command line runs the attacks, and damage is looked for outside."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ledger.errors import SandboxError
from ledger.parsers.json import read_json
from ledger.places import Places
from tools.process import Finished
from tools.sandbox import attacks
from tools.sandbox.bait import REPORT, prepare_bait
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import SYSTEM
from tools.sandbox.types import Job, Mount, Proof, Sandbox, Wall


def interpreter() -> tuple[Path, tuple[Mount, ...]]:
    """An interpreter that code inside can start, and the read-only mounts that it needs.

    It is the base of the daemon's own (a virtual environment's ``python`` is only a link to it). What lies below the
    system folders is seen anyway.
    """
    program = Path(os.path.realpath(sys.executable))
    needed = dict.fromkeys((Path(os.path.realpath(sys.base_prefix)), Path(os.path.realpath(sys.base_exec_prefix))))
    if not any(prefix in program.parents for prefix in needed):
        needed[program] = None
    system = tuple(Path(name) for name in SYSTEM)
    unseen = (p for p in needed if not any(top == p or top in p.parents for top in system))
    return program, tuple(Mount(source=path, target=path, closed=True) for path in unseen)


async def prove(sandbox: Sandbox, settings: SandboxSettings, places: Places) -> tuple[Proof, ...]:
    """Attack every wall of ``sandbox``. Raises ``SandboxError`` or ``ChildFailed`` when the attacks cannot be run."""
    program, mounts = interpreter()
    code = Path(attacks.__file__).read_text(encoding="utf-8")
    with prepare_bait(settings, places, program, mounts) as bait:
        job = Job(
            argv=(str(program), "-I", "-S", "-c", code, json.dumps(bait.target)),
            cwd=bait.workspace,
            mounts=(
                Mount(source=bait.workspace, target=bait.workspace, writable=True, ours=True, closed=True),
                Mount(source=bait.shown, target=bait.shown, ours=True, closed=True),
                *mounts,
            ),
            timeout_s=settings.probe_timeout_s,
            report_env=REPORT,
        )
        finished = await sandbox.run(job)
        damage = bait.damage()  # at once: surviving processes end soon
        report = _report(sandbox, finished)
        damage = {**bait.visible_files(report["made"]), **damage}
        # Sockets that others have where a mount shows them: a job with such a mount is confined otherwise.
        beside = Mount(source=bait.served, target=bait.served, ours=True)
        only = replace(job, argv=(*job.argv, Wall.UNIX_SOCKETS.value), mounts=(*job.mounts, beside))
        served = _report(sandbox, await sandbox.run(only))
        if served["answers"][Wall.UNIX_SOCKETS][0]:
            report["answers"][Wall.UNIX_SOCKETS] = served["answers"][Wall.UNIX_SOCKETS]
        return tuple(_judge(wall, report["answers"][wall], damage.get(wall)) for wall in Wall)


def _report(sandbox: Sandbox, finished: Finished) -> dict[str, Any]:
    """The report that the attacks have written."""
    try:
        report: dict[str, Any] = read_json(finished.report)
    except ValueError:
        said = finished.output.decode("utf-8", errors="replace").strip().splitlines()[-1:]
        why = "they did not end in time" if finished.timed_out else (said or [f"exit code {finished.code}"])[0]
        raise SandboxError(f"The walls of {sandbox.name} could not be tried: {why}.") from None
    return report


def _judge(wall: Wall, answer: tuple[bool, str], damage: str | None) -> Proof:
    """What was found outside counts more than what was seen inside."""
    broken, detail = answer
    return Proof(wall, False, damage) if damage else Proof(wall, not broken, detail)
