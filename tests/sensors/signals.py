"""Signals, ledgers and routers for the tests of this room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from ledger.clock import Clock, ManualClock
from ledger.ids import new_signal_id, sha256_hex
from ledger.store import Ledger
from ledger.vocabulary import Closure, Decision, Signal, Source, TestsPass, Urgency, Verdict
from sensors.intake.governor import GovernorSettings
from sensors.intake.order import no_record
from sensors.intake.ports import IntakePorts, ReadSurroundings, normal_surroundings
from sensors.intake.router import IntakeRouter
from sensors.intake.settings import RouterSettings
from sensors.ports import TrackRecord

TEST_FAILURE = Source("test_failure")
REPO_ID = "0123456789ab"
START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
ALLOW = Verdict(gate=19, rule="gate19.recursion")
DENY = Verdict(gate=19, rule="gate19.recursion", decision=Decision.DENY, reason="depth 3 is over 2")


def signal(
    name: str = "a",
    *,
    targets: Sequence[str] = (),
    urgency: Urgency = Urgency.HIGH,
    source: Source = TEST_FAILURE,
    base: str = "c0",
    boot: str = "",
    depth: int = 0,
    snapshot: str | None = None,
    closure: Closure | None = None,
    confidence_bp: int = 10_000,
) -> Signal:
    return Signal(
        id=new_signal_id(),
        source=source,
        goal=f"Make {name} pass.",
        targets=tuple(targets),
        urgency=urgency,
        key=sha256_hex(name),
        closure=closure or TestsPass(ids=(f"tests/test_{name}.py::test_{name}",)),
        base=base,
        boot=boot,
        depth=depth,
        snapshot=snapshot,
        confidence_bp=confidence_bp,
    )


def admit_shallow(candidate: Signal) -> Verdict:
    return DENY if candidate.depth > 2 else ALLOW


def may_release(silent_s: float, limit_s: float) -> Verdict:
    return ALLOW if silent_s > limit_s else DENY


class Branches:
    """Review branches that live until they are deleted."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    async def live(self, name: str) -> bool:
        return name in self.names


@asynccontextmanager
async def open_ledger(path: Path, clock: Clock | None = None) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(path, repo_id=REPO_ID, clock=clock or ManualClock(START))
    try:
        yield ledger
    finally:
        await ledger.close()


def make_router(
    ledger: Ledger,
    clock: Clock,
    *,
    boot: str = "boot-1",
    settings: RouterSettings | None = None,
    branches: Branches | None = None,
    caps: GovernorSettings | None = None,
    look: ReadSurroundings = normal_surroundings,
    record: TrackRecord = no_record,
) -> IntakeRouter:
    return IntakeRouter(
        ledger=ledger,
        clock=clock,
        boot=boot,
        settings=settings or RouterSettings(),
        ports=IntakePorts(
            admit=admit_shallow,
            may_release=may_release,
            branch_exists=(branches or Branches()).live,
            surroundings=look,
            track_record=record,
        ),
        caps=caps,
    )
