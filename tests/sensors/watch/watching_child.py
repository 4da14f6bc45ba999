"""A watcher in a process with limits of its own: ``python watching_child.py FOLDER``, whose ``repo`` is watched.

Says, as JSON, whether it polls and why, and what was told when a file was saved. Its warnings are on standard error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from ledger.clock import SystemClock
from sensors.bus import Bus, Topic
from sensors.watch.watcher import Watcher, WatchSettings
from tests.repos import host_env, make_places
from tests.sensors.gitdoors import GitIgnores
from tools.git import Git


async def main(base: Path) -> None:
    places = make_places(base / "ours", base / "repo")
    ignore = GitIgnores(Git(places, host_env()))
    watcher = Watcher(places=places, ignore=ignore, settings=WatchSettings(debounce_s=0.05, poll_s=0.05))
    bus = Bus(clock=SystemClock())
    task = asyncio.create_task(watcher.run(bus))
    async with asyncio.timeout(30), bus.subscribe(Topic.FILES_CHANGED) as events:
        await watcher.ready.wait()
        await asyncio.sleep(0.5)  # a poll compares with the look before it
        (places.repo / "pkg/3/a.py").write_text("22\n")
        event = (await anext(events)).event
    task.cancel()
    await asyncio.wait({task})
    counts = watcher.counts
    print(json.dumps({"polling": counts.polling, "reason": counts.reason, "paths": event.paths}))


logging.basicConfig(level=logging.WARNING)
asyncio.run(main(Path(sys.argv[1])))
