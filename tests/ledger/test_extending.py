"""The recipe of docs/extending.md for a kind of ledger entry, applied to a copy of the tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from ledger.events.event import UnknownEvent, read_event
from ledger.events.session import SessionStarted

ROOT = Path(__file__).parents[2]
USE = """
import asyncio, sys
from pathlib import Path
from daemon.views.narrate import describe
from ledger.clock import SystemClock
from ledger.events.session import CacheCleared
from ledger.store import Ledger

async def main():
    ledger = await Ledger.open(Path(sys.argv[1]), repo_id="0123456789ab", clock=SystemClock())
    await ledger.append(CacheCleared(files=3).draft())
    ((entry, event),) = await ledger.events(CacheCleared)
    print(event.files, "|", describe(entry), "|", (await ledger.verify()).ok)
    await ledger.close()

asyncio.run(main())
"""


def test_a_kind_of_entry_is_one_class(tmp_path: Path) -> None:
    for room in ("daemon", "governance", "kernel", "ledger", "sensors", "tools"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    recipe = (ROOT / "docs/extending.md").read_text().partition("## A kind of ledger entry")[2]
    (code,) = re.findall(r"```python\n(.*?)```", recipe.partition("\n## ")[0], re.DOTALL)
    with (tmp_path / "ledger/events/session.py").open("a") as module:
        module.write(f"\n\n{code}")
    argv = (sys.executable, "-P", "-c", USE, str(tmp_path / "ledger.sqlite3"))
    done = subprocess.run(
        argv, env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "3 | cache.cleared · files 3 | True\n"), done.stderr


def test_what_this_release_cannot_read_keeps_its_name() -> None:
    draft = SessionStarted(boot="b").draft()
    payloads = (
        {"event": "session.started", "v": 2},
        {"event": "session.started", "pid": "x"},
        {"event": "new.thing"},
        {},
    )
    for payload in payloads:
        event = read_event(draft.model_copy(update={"payload": payload}))
        assert isinstance(event, UnknownEvent) and event.title == payload.get("event", "")
