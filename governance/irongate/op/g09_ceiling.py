"""Gate 9, worker ceiling: an op has a wall-clock ceiling by its route; past it the op and all that it started end."""

from __future__ import annotations

from pydantic import Field

from governance.irongate.gate import Gate, Subject
from governance.irongate.verdicts import denied, passed
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 9


class CeilingFacts(Frozen):
    """Milliseconds on one monotonic clock, and the ceiling."""

    started_ms: int
    now_ms: int
    ceiling_ms: int = Field(ge=0)


def check(facts: CeilingFacts) -> Verdict:
    """Deny (end the op) at the ceiling."""
    ran = facts.now_ms - facts.started_ms
    if ran >= facts.ceiling_ms:
        return denied(NUMBER, "ceiling", f"The op has run for {ran} ms; its ceiling is {facts.ceiling_ms} ms.")
    return passed(NUMBER)


EXAMPLES: tuple[tuple[CeilingFacts, Decision], ...] = (
    (CeilingFacts(started_ms=0, now_ms=999, ceiling_ms=1000), Decision.ALLOW),
    (CeilingFacts(started_ms=0, now_ms=1000, ceiling_ms=1000), Decision.DENY),
    (CeilingFacts(started_ms=5, now_ms=5, ceiling_ms=0), Decision.DENY),
)
GATE = Gate(
    number=NUMBER,
    name="worker ceiling",
    summary="ops over the wall-clock ceiling of their route",
    subjects=(Subject.OP,),
    facts=CeilingFacts,
    check=check,
    examples=EXAMPLES,
)
