"""The daemon's own search for a repair: reproduce, localise, fill, test, compare, rank."""

from __future__ import annotations

from ledger.events.event import Json, LedgerEvent
from ledger.vocabulary import EntryKind, Phase, RunStatus


class FailureReproduced(LedgerEvent, kind=EntryKind.RUN, name="reproduced", phase=Phase.GENERATE):
    """The failing tests, run at the op's tree; ``exception``, ``message`` and ``frames`` of the first of them."""

    status: RunStatus = RunStatus.RED
    reason: str = ""
    failing: tuple[str, ...] = ()
    total: int = 0
    ms: int = 0
    exception: str = ""
    message: str = ""
    frames: tuple[tuple[str, int, str], ...] = ()


class FaultLocalised(LedgerEvent, kind=EntryKind.TOOL, name="localised", phase=Phase.GENERATE):
    """``lines``: number of executed lines; ``places``: path, line, score in basis points, and why."""

    lines: int
    places: tuple[tuple[str, int, int, str], ...] = ()


class HolesInfilled(LedgerEvent, kind=EntryKind.TOOL, name="infilled", phase=Phase.GENERATE):
    wave: str = ""
    base: int = 0
    holes: int = 0
    infills: int = 0
    distinct: int | None = None
    ms: int | None = None


class VariantsTested(LedgerEvent, kind=EntryKind.RUN, name="candidates.tested", phase=Phase.GENERATE):
    """``clean``: green without a newly red test; ``partial``: some of the failing tests pass."""

    wave: str = ""
    base: int = 0
    tested: int = 0
    green: int = 0
    clean: int = 0
    partial: int = 0
    ms: int | None = None


class PartialRepairKept(LedgerEvent, kind=EntryKind.TOOL, name="branched", phase=Phase.GENERATE):
    """The search continues from a change that makes ``mended`` of the failing tests pass."""

    base: int = 0
    of: int = 0
    path: str
    line: int
    mended: int
    left: int


class RepairsCompared(LedgerEvent, kind=EntryKind.TOOL, name="compared", phase=Phase.GENERATE):
    """Passing repairs, called with other inputs; ``examples``: call, result, and another repair's result."""

    repairs: int
    inputs: int
    differing: int
    problem: str
    ms: int
    examples: tuple[tuple[str, str, str], ...]


class RepairsRanked(LedgerEvent, kind=EntryKind.DECISION, name="ranked", phase=Phase.GENERATE):
    """Best first. ``survivors``: path, line, text, size, votes and log probability gained."""

    merits: tuple[Json, ...] = ()
    survivors: tuple[tuple[str, int, str, int, int, int | None], ...] = ()


class SearchStepTaken(LedgerEvent, kind=EntryKind.TOOL, name="searched", phase=Phase.GENERATE):
    """``search``: key of the search; ``steps`` of it are done and found ``found`` variants that help."""

    search: str
    steps: int
    found: int


class RepairRoundEnded(LedgerEvent, kind=EntryKind.RUN, name="repair.round", phase=Phase.GENERATE):
    """A layer of attempts, with everything that is needed to resume after it."""

    search: str
    round: int
    trouble: str
    branches: tuple[tuple[str, int], ...]
    seen: tuple[str, ...]
    measures: tuple[str, ...]
    hints: tuple[str, ...]


class RepairStopped(LedgerEvent, kind=EntryKind.RUN, name="repair.stopped", phase=Phase.GENERATE):
    why: str
    tried: int


class RepairClockSet(LedgerEvent, kind=EntryKind.DECISION, name="repair.clock", phase=Phase.GENERATE):
    """Which limit ends the repair first: its own or the op's (``op_left_s`` None: it has none)."""

    repair_s: int
    op_left_s: int | None
    winner: str
