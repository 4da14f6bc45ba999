"""Policy inputs known before an answer exists: tier, complexity and trust."""

from __future__ import annotations

from governance.grounding.claim_verdict import TOO_FEW_SOURCES
from governance.grounding.policy import PolicyInputs
from governance.grounding.trust_lookup import least_bp
from governance.pipeline.context import OpContext, Services
from governance.pipeline.dossier import Dossier
from ledger.vocabulary import Complexity, Operation


def ground_of(services: Services, op: Operation, dossier: Dossier, *, strategy: str = "") -> PolicyInputs:
    """The policy inputs of an op in its present state. ``strategy``: the candidate's, if there is one."""
    trust = least_bp(op, services.trust, provider=services.provider.name, strategy=strategy)
    return PolicyInputs(
        risk=dossier.tier, complexity=dossier.complexity, trust_bp=trust, settings=services.settings.grounding
    )


def depth_of(ctx: OpContext, op: Operation, dossier: Dossier) -> Complexity:
    """Complexity class for exploration: one higher when the policy asks for depth or GATE found too few sources."""
    near = ctx.resources.regrounding.caution_milli
    thin = bool(dossier.feedback) and dossier.feedback[-1].rule == TOO_FEW_SOURCES
    deep = thin or ground_of(ctx.services, op, dossier).at(near).deep
    return Complexity(min(dossier.complexity + deep, Complexity.ARCHITECTURAL))
