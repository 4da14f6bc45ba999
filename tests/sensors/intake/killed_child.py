"""A small daemon for the kill rounds: submits, claims and finishes as fast as it can, and says what was acknowledged.

Run as ``python killed_child.py FOLDER ROUND drain|run``. Lines on standard output: ``acked ID``, ``acted ID``,
``done ID``, ``undecided ID``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from ledger.clock import SystemClock
from ledger.ids import new_signal_id, sha256_hex
from ledger.store import Ledger
from ledger.vocabulary import RootCause, Signal, Source, State, TestsPass, Urgency, Verdict
from sensors.intake.governor import GovernorSettings
from sensors.intake.router import IntakeRouter
from sensors.intake.settings import RouterSettings

PER_ROUND = 400
MANY = 1_000_000
UNCAPPED = GovernorSettings(
    ops_per_hour=MANY, reflex_per_hour=MANY, changes_per_hour=MANY, changes_per_source=MANY, again_percent=100,
    brake_failed_percent=100,
)  # fmt: skip


def say(word: str, signal_id: str) -> None:
    os.write(1, f"{word} {signal_id}\n".encode())


async def produce(router: IntakeRouter, round_number: int) -> None:
    for number in range(PER_ROUND):
        name = f"{round_number}-{number}"
        sent = Signal(
            id=new_signal_id(),
            source=Source.TEST_FAILURE,
            goal=f"Make {name} pass.",
            targets=(f"{number % 7}.py",),
            urgency=Urgency.HIGH,
            key=sha256_hex(name),
            closure=TestsPass(ids=(name,)),
            base="c0",
        )
        receipt = await router.submit(sent)
        assert receipt.status == "queued", receipt
        say("acked", sent.id)


async def work(router: IntakeRouter) -> None:
    while True:
        op = await router.next()
        await router.started(op.id)
        for signal in op.signals:
            say("acted", signal.id)
        await router.finish(op.id, State.COMPLETE, cause=RootCause.NONE)
        for signal in op.signals:
            say("done", signal.id)


async def main(folder: Path, round_number: int, drain: bool) -> None:
    ledger = await Ledger.open(folder / "ledger.sqlite3", repo_id="0123456789ab", clock=SystemClock())
    router = IntakeRouter(
        ledger=ledger,
        clock=SystemClock(),
        boot=f"boot-{round_number}",
        settings=RouterSettings(max_attempts=1000, max_claims=1000),
        admit=lambda signal: Verdict(gate=19, rule="gate19.recursion"),
        caps=UNCAPPED,
    )
    report = await router.recover()
    for op_id in report.undecided:
        for line in router.snapshot(lines=1_000_000).lines:
            if line.op_id == op_id:
                say("undecided", line.signal_id)
        await router.requeue(op_id)
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work(router)) for _ in range(3)]
        if drain:
            await router.until_idle()
            for worker in workers:
                worker.cancel()
        else:
            await produce(router, round_number)
    report_ok = (await ledger.verify()).ok
    await ledger.close()
    os.write(1, f"verified {report_ok}\n".encode())


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "drain"))
