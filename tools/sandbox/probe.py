"""Tests a sandbox on this machine: runs attacks with the command line that is used in production, and looks for their
damage from outside."""

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
    """A Python interpreter that can be started in the sandbox, and the read-only mounts that it needs.

    It is the base of the daemon's interpreter (in a virtual environment ``python`` is only a link to it). System
    folders are always mounted.
    """
    program = Path(os.path.realpath(sys.executable))
    needed = dict.fromkeys((Path(os.path.realpath(sys.base_prefix)), Path(os.path.realpath(sys.base_exec_prefix))))
    if not any(prefix in program.parents for prefix in needed):
        needed[program] = None
    system = tuple(Path(name) for name in SYSTEM)
    unseen = (p for p in needed if not any(top == p or top in p.parents for top in system))
    return program, tuple(Mount(source=path, target=path, closed=True) for path in unseen)


async def prove(sandbox: Sandbox, settings: SandboxSettings, places: Places) -> tuple[Proof, ...]:
    """The result of an attack on each wall. Raises ``SandboxError`` or ``ChildFailed`` when attacks cannot be run."""
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
        damage = bait.damage()  # immediately, because surviving processes end soon
        report = _report(sandbox, finished)
        damage = {**bait.visible_files(report["made"]), **damage}
        # Again for sockets in a mounted folder: a job with such a mount is confined by other means.
        sockets = Mount(source=bait.served, target=bait.served, ours=True)
        only_sockets = replace(job, argv=(*job.argv, Wall.UNIX_SOCKETS.value), mounts=(*job.mounts, sockets))
        served = _report(sandbox, await sandbox.run(only_sockets))
        if served["answers"][Wall.UNIX_SOCKETS][0]:
            report["answers"][Wall.UNIX_SOCKETS] = served["answers"][Wall.UNIX_SOCKETS]
        return tuple(_judge(wall, report["answers"][wall], damage.get(wall)) for wall in Wall)


def _report(sandbox: Sandbox, finished: Finished) -> dict[str, Any]:
    """The attacks' report. Raises ``SandboxError`` if there is none."""
    try:
        report: dict[str, Any] = read_json(finished.report)
    except ValueError:
        last_line = finished.output.decode("utf-8", errors="replace").strip().splitlines()[-1:]
        why = "they did not end in time" if finished.timed_out else (last_line or [f"exit code {finished.code}"])[0]
        raise SandboxError(f"The walls of {sandbox.name} could not be tested: {why}.") from None
    return report


def _judge(wall: Wall, answer: tuple[bool, str], damage: str | None) -> Proof:
    """The result for one wall; damage that was found outside outweighs the report of the attack inside."""
    broken, detail = answer
    return Proof(wall, False, damage) if damage else Proof(wall, not broken, detail)
