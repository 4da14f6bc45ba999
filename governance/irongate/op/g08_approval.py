"""Gate 8, approval time-out: an approval request is open for a limited time, then rejected.

``ALLOW`` means that the request is still open, never that it was approved. Without a terminal the request is parked
in the inbox, with the same limit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, Field

from governance.irongate.gate import Gate, Subject
from governance.irongate.verdicts import denied, passed
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 8


class ApprovalFacts(Frozen):
    """When the request was made, the time now, the limit, and whether a person's terminal is attached."""

    requested_at: AwareDatetime
    now: AwareDatetime
    limit_s: int = Field(ge=0)
    has_terminal: bool


def check(facts: ApprovalFacts) -> Verdict:
    """``gate08.waiting`` or ``gate08.parked`` while the request is open, denied as ``gate08.expired`` after that.

    A clock that jumped back by the limit or more also ends it: the age is unknown then.
    """
    age = abs((facts.now - facts.requested_at).total_seconds())
    if age >= facts.limit_s:
        return denied(NUMBER, "expired", f"No answer within {facts.limit_s} s, so the change is rejected.")
    return passed(NUMBER, "waiting" if facts.has_terminal else "parked")


_START = datetime(2026, 1, 1, tzinfo=UTC)


def _example(seconds: int, terminal: bool) -> ApprovalFacts:
    return ApprovalFacts(
        requested_at=_START, now=_START + timedelta(seconds=seconds), limit_s=600, has_terminal=terminal
    )


EXAMPLES: tuple[tuple[ApprovalFacts, Decision], ...] = (
    (_example(0, True), Decision.ALLOW),
    (_example(599, False), Decision.ALLOW),
    (_example(600, True), Decision.DENY),
    (_example(600, False), Decision.DENY),
    (_example(-601, True), Decision.DENY),
)
GATE = Gate(
    number=NUMBER,
    name="approval time-out",
    summary="approvals after the time limit",
    subjects=(Subject.APPROVAL,),
    facts=ApprovalFacts,
    check=check,
    examples=EXAMPLES,
)
