"""Gate 12, lock expiry: a lock may be released when it is old and its holder is gone. A live holder keeps it."""

from __future__ import annotations

from pydantic import Field

from governance.irongate.gate import Gate, Subject
from governance.irongate.verdicts import denied, passed
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 12


class LockFacts(Frozen):
    """Whether the holder lives (None: unknown), the age of the lock, and the limit, in seconds."""

    holder_alive: bool | None
    age_s: int
    limit_s: int = Field(ge=0)


def check(facts: LockFacts) -> Verdict:
    """``ALLOW`` means that the lock may be released."""
    if facts.holder_alive is not False:
        known = "is alive" if facts.holder_alive else "cannot be asked"
        return denied(NUMBER, "held", f"The holder of the lock {known}.")
    if facts.age_s <= facts.limit_s:
        return denied(NUMBER, "young", f"The lock is {facts.age_s} s old; it may be released after {facts.limit_s} s.")
    return passed(NUMBER, "expired")


EXAMPLES: tuple[tuple[LockFacts, Decision], ...] = (
    (LockFacts(holder_alive=True, age_s=10_000, limit_s=300), Decision.DENY),
    (LockFacts(holder_alive=None, age_s=10_000, limit_s=300), Decision.DENY),
    (LockFacts(holder_alive=False, age_s=300, limit_s=300), Decision.DENY),
    (LockFacts(holder_alive=False, age_s=301, limit_s=300), Decision.ALLOW),
)
GATE = Gate(
    number=NUMBER,
    name="lock expiry",
    summary="the release of a lock that is young or whose holder lives",
    subjects=(Subject.LOCK,),
    facts=LockFacts,
    check=check,
    examples=EXAMPLES,
)
