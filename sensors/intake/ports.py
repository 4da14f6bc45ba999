"""Ports of the intake router: what it uses from rooms that sensors may not import, in one frozen value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ledger.vocabulary import Signal, Verdict
from sensors.intake.order import no_record
from sensors.intake.pressure import Pressure
from sensors.ports import CommittedFilesPort, MayRelease, Redact, TrackRecord

Admit = Callable[[Signal], Verdict]
BranchExists = Callable[[str], Awaitable[bool]]
IsUnchanged = Callable[[Signal, Signal], Awaitable[bool]]  # an earlier signal, a later one with the same key
HeadCommit = Callable[[], Awaitable[str | None]]
ReadSurroundings = Callable[[], Awaitable[Pressure]]


async def _every_branch_exists(branch: str) -> bool:
    return True


async def _no_head() -> str | None:
    return None


async def _always_changed(before: Signal, now: Signal) -> bool:
    return False


async def normal_surroundings() -> Pressure:
    """A machine that is short of nothing, and no money spent."""
    return Pressure()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePorts:
    """``admit`` and ``may_release`` are gates 19 and 12. Without the others every signal counts on its own."""

    admit: Admit  # a verdict other than ALLOW parks the signal
    may_release: MayRelease
    branch_exists: BranchExists = _every_branch_exists  # of review branches
    head: HeadCommit = _no_head  # the commit on which an op is planned; None: that of its newest signal
    is_unchanged: IsUnchanged = _always_changed  # whether all that matters for the two signals is the same
    track_record: TrackRecord = no_record
    surroundings: ReadSurroundings = normal_surroundings
    committed_files: CommittedFilesPort | None = None  # where goals are declared; None: nowhere
    redact: Redact = str
