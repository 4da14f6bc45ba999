"""What the ledger tests run in a process of its own: ``python -m tests.ledger.child WHAT PATH [ARGUMENTS]``.

Every acknowledged entry is printed as ``seq hash`` after it was acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from pathlib import Path

from ledger.clock import SystemClock
from ledger.errors import LedgerError, LedgerReadOnly
from ledger.store import Ledger
from tests.ledger.drafts import REPO_ID, draft

SEEN = "CREATE TABLE IF NOT EXISTS seen (seq INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT);"
CALLERS = 4
NOBODY = 65534


async def _open(path: Path, *, read_only: bool = False) -> Ledger:
    return await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock(), read_only=read_only)


async def loop(path: Path) -> None:
    """Append from several callers until killed; each entry takes a row of a projection and a blob with it."""
    ledger = await _open(path)
    await ledger.ensure(SEEN)

    async def caller(name: int) -> None:
        number = 0
        while True:
            number += 1
            (entry,) = await ledger.append(
                draft(name, payload={"number": number, "pad": "x" * 300 * name}),
                project=[("INSERT INTO seen (mark) VALUES (?)", (f"{name}",))],
                blobs=[f"{ledger.head.hash}{name}".encode() * 20],
            )
            print(entry.seq, entry.hash, flush=True)

    await asyncio.gather(*(caller(name) for name in range(CALLERS)))


async def limit(path: Path, size: str, bulk: str) -> None:
    """Append until no file may grow any more, then see what still works. Prints a JSON report at the end.

    With ``bulk`` (bytes) a projection grows with each entry: beyond SQLite's cache it is its statement, not the commit,
    that meets the limit.
    """
    project = [("INSERT INTO seen (mark) VALUES (zeroblob(?))", (int(bulk),))] if int(bulk) else []
    ledger = await _open(path)
    await ledger.ensure(SEEN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    report: dict[str, object] = {}
    failed: list[BaseException] = []
    while not failed:
        results = await asyncio.gather(
            *(ledger.append(draft(n, payload={"pad": "x" * 2000}), project=project) for n in range(CALLERS)),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                failed.append(result)
            else:
                print(result[0].seq, result[0].hash, flush=True)
    report["errors"] = sorted({type(error).__name__ for error in failed})
    report["error"] = str(failed[0])
    report["read_only"] = ledger.read_only
    report["fault"] = ledger.fault
    report["readable"] = len(await ledger.entries())
    report["verified"] = (await ledger.verify()).entries
    try:
        await ledger.append(draft())
    except LedgerReadOnly as error:
        report["again"] = str(error)
    await ledger.close()
    print(json.dumps(report), flush=True)


async def hold(path: Path) -> None:
    """Hold the ledger for writing until standard input ends."""
    ledger = await _open(path)
    print("held", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await ledger.close()


async def unprivileged(path: Path) -> None:
    """Open as somebody who may read the file but write neither it nor its folder."""
    await asyncio.to_thread(int)  # what Python still has to import may lie in the former user's home
    if os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    report: dict[str, object] = {}
    try:
        await (await _open(path)).close()
    except LedgerError as error:
        report["writing"] = [type(error).__name__, str(error)]
    ledger = await _open(path, read_only=True)
    report["readable"] = len(await ledger.entries())
    report["verified"] = (await ledger.verify()).ok
    await ledger.close()
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    what, target, *rest = sys.argv[1:]
    asyncio.run({"loop": loop, "limit": limit, "hold": hold, "unprivileged": unprivileged}[what](Path(target), *rest))
