"""Runs a command of the owner's on a workspace and takes the file that it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from ledger.errors import ChildFailed, PolicyRefused, SandboxError
from tools import contained
from tools.process import Finished
from tools.testing.runner import TestRunner
from tools.workspace import Workspace

Produced = tuple[bytes | None, str]
"""The file's bytes; or None, and the reason."""
TAIL_CHARS = 600
FILE_MODE = 0o644


async def produce_file(
    runner: TestRunner, ws: Workspace, argv: Sequence[str], *, path: str, limit_s: float, largest: int
) -> Produced:
    """Run ``argv`` in the sandbox and take the file that it writes at ``path``. An earlier file there is removed first.

    The file is removed afterwards too, so that the next run has to write its own.
    """
    problem = runner.environment.problem
    if problem is not None:
        return None, problem
    try:
        await asyncio.to_thread(_clear, ws.root, path)
        finished = await runner.program(ws, argv, limit_s=limit_s)
        if (why := _why_not(finished, argv[0], limit_s)) is not None:
            return None, why
        return await asyncio.to_thread(_take, ws.root, path, largest)
    except (SandboxError, ChildFailed, PolicyRefused, OSError) as error:
        return None, str(error)


def _clear(root: Path, path: str) -> None:
    contained.write_file(root, path, b"", FILE_MODE)  # its folder may be one that git ignores
    contained.delete_file(root, path)


def _take(root: Path, path: str, largest: int) -> Produced:
    size = contained.size_of(root, path)
    if size is None:
        return None, f"it has not written {path}"
    if size > largest:
        return None, f"what it has written at {path} is larger than {largest} bytes"
    data = contained.read_file(root, path)
    contained.delete_file(root, path)
    return data, "" if data is not None else f"it has not written {path}"


def _why_not(finished: Finished, program: str, limit_s: float) -> str | None:
    if finished.timed_out:
        return f"{program} did not end within {limit_s:g} s"
    if finished.flooded:
        return f"{program} was ended for writing too much"
    if finished.code == 0:
        return None
    how = f"code {finished.code}" if finished.code is not None else f"signal {finished.signal}"
    tail = finished.output.decode("utf-8", errors="replace").strip()[-TAIL_CHARS:]
    return f"{program} ended with {how}: {tail}" if tail else f"{program} ended with {how}"
