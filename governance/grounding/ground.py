"""Policy inputs known before an answer exists: tier, complexity and trust."""

from __future__ import annotations

from governance.grounding.claim_verdict import THIN
from governance.grounding.policy import PolicyInputs
from governance.grounding.trust_lookup import least_bp
from governance.pipeline.context import OpContext, Services
from governance.pipeline.dossier import Dossier
from ledger.vocabulary import Complexity, Operation


def ground_of(shop: Services, op: Operation, dossier: Dossier, *, strategy: str = "") -> PolicyInputs:
    """The policy inputs of an op in its present state. ``strategy``: the candidate's, if there is one."""
    trust = least_bp(op, shop.trust, provider=shop.provider.name, strategy=strategy)
    return PolicyInputs(
        risk=dossier.tier, complexity=dossier.complexity, trust_bp=trust, settings=shop.settings.grounding
    )


def depth_of(crew: OpContext, op: Operation, dossier: Dossier) -> Complexity:
    """Complexity class for exploration: one higher when the policy asks for depth or GATE found too few sources."""
    near = crew.holdings.regrounding.caution_milli
    thin = bool(dossier.feedback) and dossier.feedback[-1].rule == THIN
    deep = thin or ground_of(crew.shop, op, dossier).at(near).deep
    return Complexity(min(dossier.complexity + deep, Complexity.ARCHITECTURAL))
