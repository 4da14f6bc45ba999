"""What a test starts outlives its run: in a session of its own, of another parent, or as a chain of short lives."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cage.walls.confined import box_of, run
from tests.tools.sandbox.boxes import running
from tests.tools.sandbox.test_bwrap_walls import WithoutProcessNamespace
from tests.tools.sandbox.test_landlock_walls import WithoutKills

LASTS_S = 20
LEAVING = """
import os, sys, time
token, lasts, until = sys.argv[1], float(sys.argv[2]), time.monotonic() + float(sys.argv[2])
for way in ("session", "chain", "chain", "swarm"):
    if os.fork():
        continue
    os.setsid()
    if os.fork():
        os._exit(0)
    if way == "session":
        os.closerange(0, 64)
        time.sleep(lasts)
    while time.monotonic() < until:  # each link lives for less time than it takes to be found
        if os.fork():
            if way == "chain":
                os._exit(0)
            time.sleep(0.05)
            os.wait()
    os._exit(0)
time.sleep(0.3)
"""


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """Who is there right after the run has returned."""
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=WithoutProcessNamespace, landlock=WithoutKills)
    token = f"ouro-{os.urandom(6).hex()}"
    await run(box, base, LEAVING, token, LASTS_S)
    return ["processes"] if running(token) else []
