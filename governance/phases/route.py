"""ROUTE: choose time limits by table lookup; recorded with its inputs."""

from __future__ import annotations

from governance.grounding.trust_lookup import confidence_of
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Dossier, Routing
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind
from governance.pipeline.routes import choose_route, op_seconds, turn_seconds
from ledger.events.op import RouteChosen
from ledger.sources import SOURCES
from ledger.vocabulary import Complexity, Operation, Phase


async def route(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """Choose the route; trivial ops skip context expansion and planning."""
    clocks = ctx.services.settings.clocks
    local = ctx.services.provider.capabilities.local
    source_class = SOURCES[op.origin].routed_as
    confidence = confidence_of(op, ctx.services.trust)
    chosen, reason = choose_route(
        complexity=dossier.complexity, source=source_class, urgency=op.urgency, confidence_bp=confidence.calibrated_bp
    )
    undoubted, _ = choose_route(complexity=dossier.complexity, source=source_class, urgency=op.urgency)
    routes = (chosen, undoubted)  # low confidence must not extend the time limits
    output = Routing(
        route=chosen,
        reason=reason,
        turn_ms=1000 * min(turn_seconds(route, local=local, clocks=clocks) for route in routes),
        op_ms=1000 * min(op_seconds(route, local=local, clocks=clocks) for route in routes),
    )
    await ctx.record.note(
        RouteChosen(
            complexity=dossier.complexity,
            source=source_class,
            urgency=op.urgency,
            route=chosen,
            reason=reason,
            local=local,
            confidence=confidence.model_dump(mode="json"),
        )
    )
    ctx.clock.limit_to(output.op_ms / 1000)
    if dossier.complexity is Complexity.TRIVIAL:
        return PhaseResult(kind=ResultKind.TRIVIAL, output=output, reason=f"{chosen}, trivial: no expansion, no plan")
    return PhaseResult(output=output, reason=chosen.value)


SPEC = PhaseSpec(output=Routing, run=route, edges={ResultKind.TRIVIAL: Phase.GENERATE})
