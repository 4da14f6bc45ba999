"""ROUTE: which clock and which ceiling an op gets. A lookup, recorded with its inputs."""

from __future__ import annotations

from governance.crew import Crew
from governance.dossier import Dossier, Routing
from governance.result import PhaseResult
from governance.routes import choose_route, op_seconds, turn_seconds
from ledger.sources import SOURCES
from ledger.vocabulary import Complexity, EntryKind, Operation, State


async def route(op: Operation, dossier: Dossier, crew: Crew) -> PhaseResult:
    """Choose the route; trivial ops skip expansion and plan."""
    clocks = crew.shop.settings.clocks
    local = crew.shop.provider.capabilities.local
    source_class = SOURCES[op.origin].routed_as
    chosen, reason = choose_route(complexity=dossier.complexity, source=source_class, urgency=op.urgency)
    output = Routing(
        route=chosen,
        reason=reason,
        turn_ms=1000 * turn_seconds(chosen, local=local, clocks=clocks),
        op_ms=1000 * op_seconds(chosen, local=local, clocks=clocks),
    )
    await crew.record.note(
        EntryKind.DECISION, "route.chosen", phase=State.ROUTE, complexity=dossier.complexity.name,
        source=source_class.value, urgency=op.urgency.name, route=chosen.value, reason=reason, local=local,
    )  # fmt: skip
    if dossier.complexity is Complexity.TRIVIAL:
        return PhaseResult(next=State.GENERATE, output=output, reason=f"{chosen}, trivial: no expansion, no plan")
    return PhaseResult(next=State.CONTEXT_EXPANSION, output=output, reason=chosen.value)
