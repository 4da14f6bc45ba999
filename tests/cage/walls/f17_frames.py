"""A test speaks for the process that watches it: by that one's pipe, environment or memory in ``/proc``."""

from __future__ import annotations

from pathlib import Path

from ledger.vocabulary import RunStatus
from tests.cage.walls import Unable
from tests.cage.walls.f04_verdict import project_in
from tools.testing import runner

END = {
    "code": 0, "signal": None, "timed_out": True, "flooded": False, "hung": "", "frames": [], "ms": 1, "head": "",
    "tail": "", "bytes": 0, "spent": "",
}  # fmt: skip
SPEAKING = f"""
import json, os, time

def tries(what, path, flags):
    try:
        return [what] if os.open(path, flags) else []
    except OSError:
        return []

def test_speaks():
    watcher = f"/proc/{{os.getppid()}}"
    got = tries("environment", watcher + "/environ", os.O_RDONLY) + tries("memory", watcher + "/mem", os.O_RDWR)
    end = json.dumps({END!r}).encode()
    for number in range(64):
        try:
            if os.readlink(f"{{watcher}}/fd/{{number}}").startswith("pipe:"):
                fd = os.open(f"{{watcher}}/fd/{{number}}", os.O_WRONLY | os.O_NONBLOCK)
                os.write(fd, b"X%08x" % len(end) + end)
                time.sleep(0.2)
        except OSError:
            continue
    assert not got, "got " + " ".join(got)
"""
OWN = "        self._libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)\n"


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    project = await project_in(base, backend)
    if not wall:
        read = runner._text
        text = read(runner._WORKER)
        assert OWN in text
        text = text.replace(OWN, "")
        runner._text = lambda name: text if name == runner._WORKER else read(name)  # type: ignore[assignment]
    project.write({"tests/test_speaks.py": SPEAKING})
    try:
        async with project.runner().several(project.ws) as tests:
            run = await tests.run(["tests/test_speaks.py"])
    finally:
        await project.workspaces.release(project.ws)
        await project.workspaces.close()
    if run.status is RunStatus.INFRA:
        raise Unable(run.reason)
    said = " ".join(result.message for result in run.results)
    found = [what for what in ("environment", "memory") if f"got {what}" in said or f" {what}" in said]
    return [*found, *(["the verdict"] if run.status is RunStatus.TIMEOUT else [])]
