"""Gate 7, cost: before a model call its estimate must fit every ceiling. An unknown price is denied, never guessed."""

from __future__ import annotations

from pydantic import Field

from governance.irongate.gate import Gate, Subject
from governance.irongate.verdicts import denied, passed
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 7


class CostFacts(Frozen):
    """Micro-dollars: the estimate of the call (None: unknown price), what was spent, and the ceilings."""

    cost: int | None = Field(ge=0)
    op_spent: int = Field(0, ge=0)
    day_spent: int = Field(0, ge=0)
    provider_spent: int = Field(0, ge=0)
    per_call: int = Field(ge=0)
    per_op: int = Field(ge=0)
    per_day: int = Field(ge=0)
    per_provider: int | None = Field(None, ge=0)


def check(facts: CostFacts) -> Verdict:
    """Deny when a ceiling would be passed; the rule names which."""
    if facts.cost is None:
        return denied(NUMBER, "unknown_price", "The price of this model is not known, so the call is not made.")
    ceilings = (
        ("per_call", 0, facts.per_call),
        ("per_op", facts.op_spent, facts.per_op),
        ("per_day", facts.day_spent, facts.per_day),
        ("per_provider", facts.provider_spent, facts.per_provider),
    )
    for name, spent, ceiling in ceilings:
        if ceiling is not None and spent + facts.cost > ceiling:
            reason = f"The call may cost {facts.cost} micro-dollars; {spent} of {ceiling} are spent ({name})."
            return denied(NUMBER, name, reason)
    return passed(NUMBER)


EXAMPLES: tuple[tuple[CostFacts, Decision], ...] = (
    (CostFacts(cost=0, per_call=0, per_op=0, per_day=0), Decision.ALLOW),
    (CostFacts(cost=None, per_call=9, per_op=9, per_day=9), Decision.DENY),
    (CostFacts(cost=5, per_call=5, per_op=5, per_day=5), Decision.ALLOW),
    (CostFacts(cost=6, per_call=5, per_op=9, per_day=9), Decision.DENY),
    (CostFacts(cost=5, op_spent=1, per_call=5, per_op=5, per_day=9), Decision.DENY),
    (CostFacts(cost=5, day_spent=5, per_call=5, per_op=9, per_day=9), Decision.DENY),
    (CostFacts(cost=5, provider_spent=1, per_call=5, per_op=9, per_day=9, per_provider=5), Decision.DENY),
)
GATE = Gate(
    number=NUMBER,
    name="cost",
    summary="model calls of unknown price or over a ceiling: per call, op, day and provider",
    subjects=(Subject.MODEL_CALL,),
    facts=CostFacts,
    check=check,
    examples=EXAMPLES,
)
