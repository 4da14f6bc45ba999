"""How long the daemon's event loop is held up while the kernel loads and computes in the same process.

Run from the top of the repository: ``python -m bench.lag [--model NAME] [--bugs 1,2,3] [--cold]``. A fresh sample
repository, `ouro run` with the local model (the weights must be there), one red commit after the other; meanwhile a
client asks for ``health`` over the socket every 20 ms. *Outside* is what it waited for an answer, *inside* what
the daemon's own probe says at the end. (``status`` would ask git, too: that is not the loop's time.) ``--cold``: nothing that the kernel keeps between starts is there, so that the
conversion of the weights and the compiling of its functions fall into the time. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.common import World, machine, world
from bench.daemon import ready
from daemon.control.client import Client
from daemon.control.messages import EventsRequest
from daemon.settings.bounds import ControlSettings
from daemon.settings.config import models_folder

EVERY_S, LIMIT_S = 0.02, 900.0
BUGS = "1,4,7"


class Waits:
    """Round trips by what the kernel was doing meanwhile."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.inside_ms = 0

    async def measure(self, client: Client) -> None:
        while True:
            began = time.perf_counter()
            view = await client.health()
            self.seconds.append(time.perf_counter() - began)
            self.inside_ms = view.loop_lag_ms  # of the last minute of work: it forgets nothing here
            await asyncio.sleep(EVERY_S)


def percentile(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def settled(at: World, number: int) -> str:
    """Plant a bug, and wait until the op about it has ended; returns how."""
    async with (
        await Client.connect(at.places.socket, ControlSettings(), token=at.places.token) as client,
        asyncio.timeout(LIMIT_S),
    ):
        commit = await asyncio.to_thread(at.break_it, number)
        ours = ""
        async for event in client.events(EventsRequest(after=0)):
            if event.entry is None:
                continue
            payload = event.entry.payload
            if any(item["signal"]["base"] == commit for item in payload.get("new", ())):
                ours = "queued"
            if ours and payload.get("event") == "terminal":
                return str(payload["to"])
    raise SystemExit("The daemon went away.")


async def run(at: World, bugs: Sequence[int]) -> tuple[Waits, list[str]]:
    await ready(at)
    waits, ends = Waits(), []
    async with await Client.connect(at.places.socket, ControlSettings(), token=at.places.token) as client:
        asking = asyncio.create_task(waits.measure(client))
        try:
            for number in bugs:
                ends.append(await settled(at, number))
                if asking.done():
                    asking.result()
        finally:
            asking.cancel()
    return waits, ends


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--bugs", default=BUGS)
    parser.add_argument("--cold", action="store_true", help="convert and compile anew")
    chosen = parser.parse_args()
    cache = models_folder().parent.parent
    with tempfile.TemporaryDirectory(prefix="ob-") as fresh:
        if chosen.cold:
            cold = Path(fresh) / "ouroboros" / "models"
            cold.mkdir(parents=True)
            for file in models_folder().glob("*.gguf"):
                shutil.copy(file, cold)
            cache = Path(fresh)
        with world(cache=cache, kernel__provider="local", kernel__model=chosen.model) as at, at.daemon():
            while not at.places.socket.exists():
                time.sleep(0.05)
            waits, ends = asyncio.run(run(at, [int(word) for word in chosen.bugs.split(",")]))
    outside = waits.seconds
    print(
        f"{machine()}\n\n| model | ops | round trips | p50 | p99 | longest | inside, p99 |\n|---|---|---|---|---|---|---|"
    )
    print(
        f"| {chosen.model}{', cold' if chosen.cold else ''} | {', '.join(ends)} | {len(outside)} | "
        f"{1000 * statistics.median(outside):.1f} ms | {percentile(outside, 0.99):.1f} ms | "
        f"{1000 * max(outside):.1f} ms | {waits.inside_ms} ms |"
    )


if __name__ == "__main__":
    main()
