"""A small daemon for the kill rounds: takes signals in, acts on them, fails, recovers; it may die at any moment.

Run as ``python killed_child.py FOLDER ROUND drain|run``. What it does to the world stands in ``FOLDER/effects``: one
line ``OP SIGNAL`` for each signal that it acted on. On standard output: ``acked ID`` when a signal was acknowledged,
``fell ID`` for what a killed op had taken and not acted on, ``aside ID`` when such a signal went into quarantine,
``shown ID STATE`` for what is shown at the end of a drain, and how the record stands.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import sensors.registry  # noqa: F401  declares the sources of signals
from ledger.clock import SystemClock
from ledger.ids import new_signal_id, sha256_hex
from ledger.store import Ledger
from ledger.vocabulary import Operation, OpOutcome, RootCause, Signal, Source, TestsPass, Urgency, Verdict
from sensors.intake.governor import GovernorSettings
from sensors.intake.ports import IntakePorts
from sensors.intake.queue import rebuild
from sensors.intake.router import IntakeRouter
from sensors.intake.settings import RouterSettings

PER_ROUND = 20
WAVE = 10  # signals on their way in at the same time
ATTEMPTS = 3
MANY = 1_000_000
UNCAPPED = GovernorSettings(
    ops_per_hour=MANY, reflex_per_hour=MANY, changes_per_hour=MANY, changes_per_source=MANY, again_percent=100,
    brake_failed_percent=100,
)  # fmt: skip
TABLES = (
    "SELECT id, key, state, closed_at, signal FROM intake_items ORDER BY id",
    "SELECT * FROM intake_leases ORDER BY op_id",
    "SELECT * FROM intake_ops ORDER BY op_id",
)
EMPTY = tuple((f"DELETE FROM {table}", ()) for table in ("intake_items", "intake_leases", "intake_ops"))


def say(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


def number_of(signal: Signal) -> int:
    return int(signal.goal.split()[1].rpartition("-")[2])


class World:
    """What acting leaves behind, whoever is killed: a file, one write a line."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "effects"
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def act(self, op: Operation) -> None:
        os.write(self._file, "".join(f"{op.id} {signal.id}\n" for signal in op.signals).encode())

    def acted(self, op_id: str) -> bool:
        return any(line.startswith(f"{op_id} ") for line in self._path.read_text().splitlines())


async def produce(router: IntakeRouter, round_number: int) -> None:
    """New signals, and those of the round before once more: their keys are known."""

    async def send(name: str) -> None:
        sent = Signal(
            id=new_signal_id(),
            source=Source("test_failure"),
            goal=f"Make {name} pass.",
            targets=(f"{int(name.rpartition('-')[2]) % 7}.py",),
            urgency=Urgency.HIGH,
            key=sha256_hex(name),
            closure=TestsPass(ids=(name,)),
            base="c0",
        )
        receipt = await router.submit(sent)
        if receipt.status == "queued":
            say("acked", sent.id)

    for begin in range(0, PER_ROUND, WAVE):
        rounds = (round_number, max(0, round_number - 1))
        await asyncio.gather(*(send(f"{r}-{n}") for n in range(begin, begin + WAVE) for r in rounds))


async def work(router: IntakeRouter, world: World) -> None:
    """Every fifth signal's op fails, always; every other acts."""
    while True:
        op = await router.next()
        await router.started(op.id)
        if any(number_of(signal) % 5 == 0 for signal in op.signals):
            await router.finish(op.id, OpOutcome.POSTMORTEM, cause=RootCause.TESTS_FAILED, retry=True)
        else:
            world.act(op)
            await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE)


async def recover(router: IntakeRouter, world: World) -> None:
    """As the daemon does: what acted is ended as that, what did not is tried again, and some of it nobody can tell."""
    report = await router.recover()
    for op_id in report.undecided:
        taken = [line for line in router.snapshot(lines=MANY).lines if line.op_id == op_id]
        if world.acted(op_id):
            await router.finish(op_id, OpOutcome.COMPLETE, cause=RootCause.NONE)
        elif any(int(line.goal.split()[1].rpartition("-")[2]) % 3 == 1 for line in taken):
            for line in taken:  # said before: a kill in between is undecided again, and comes to the same
                say("aside", line.signal_id)
            await router.quarantine(op_id)
        else:
            await router.requeue(op_id)
            for line in taken:  # said after: what was not counted is not claimed
                say("fell", line.signal_id)


async def rebuilt(ledger: Ledger) -> bool:
    """Do the entries alone give the same tables?"""
    before = [await ledger.query(sql) for sql in TABLES]
    await ledger.append(project=[*EMPTY, *await rebuild(ledger)])
    return before == [await ledger.query(sql) for sql in TABLES]


async def main(folder: Path, round_number: int, drain: bool) -> None:
    world = World(folder)
    ledger = await Ledger.open(folder / "ledger.sqlite3", repo_id="0123456789ab", clock=SystemClock())
    router = IntakeRouter(
        ledger=ledger,
        clock=SystemClock(),
        boot=f"boot-{round_number}",
        settings=RouterSettings(max_attempts=ATTEMPTS, max_claims=1000, max_merged=2),
        ports=IntakePorts(
            admit=lambda signal: Verdict(gate=19, rule="gate19.recursion"),
            may_release=lambda silent_s, limit_s: Verdict(gate=12, rule="gate12.expired"),
        ),
        caps=UNCAPPED,
    )
    say("ready")
    await recover(router, world)
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work(router, world)) for _ in range(3)]
        if drain:
            await router.until_idle()
            for worker in workers:
                worker.cancel()
        else:
            await produce(router, round_number)
    for line in router.snapshot(lines=MANY).lines:
        say("shown", line.signal_id, line.state.value)
    say("rebuilt", str(await rebuilt(ledger)))
    say("verified", str((await ledger.verify()).ok))
    await ledger.close()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "drain"))
