"""What a gate is: a pure check over frozen facts, with a number, a name, and examples that it has to agree with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from governance.irongate.inspection import Inspection
from governance.irongate.verdicts import passed
from ledger.errors import ConfigError
from ledger.vocabulary import Decision, Frozen, Tier, Verdict

F = TypeVar("F", bound=Frozen)


class Subject(StrEnum):
    """What a gate looks at."""

    CANDIDATE = "candidate"
    TOOL_CALL = "tool call"
    MODEL_CALL = "model call"
    TEXT = "text from outside"
    SIGNAL = "signal"
    OP = "running op"
    APPROVAL = "approval request"
    APPLY = "files at APPLY"
    LOCK = "lock"
    DELIVERY = "webhook delivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Generic[F]):
    """One gate. ``summary``: what it refuses, for the list of gates in the documentation.

    ``select_facts``: the facts in an :class:`Inspection`, one item for each verdict; for gates that judge candidates.
    ``is_replayable``: False where the facts may not be recorded.
    """

    number: int
    name: str
    summary: str
    subjects: tuple[Subject, ...]
    facts: type[F]
    check: Callable[[F], Verdict]
    examples: tuple[tuple[F, Decision | Tier], ...]
    select_facts: Callable[[Inspection], Iterable[F]] | None = None
    is_replayable: bool = True

    @property
    def only_raises(self) -> bool:
        """True for a gate that refuses nothing and only raises the tier."""
        return {Decision.DENY, Decision.REPAIR}.isdisjoint(expected for _, expected in self.examples)

    def judge(self, recorded: str | bytes) -> Verdict:
        """The verdict on facts in JSON, as they are recorded."""
        return self.check(self.facts.model_validate_json(recorded))

    def judge_candidate(self, inspection: Inspection) -> list[Verdict]:
        """The verdicts that differ from a plain pass; one plain pass where there is none."""
        plain = passed(self.number)
        facts = self.select_facts(inspection) if self.select_facts is not None else ()
        return [verdict for verdict in map(self.check, facts) if verdict != plain] or [plain]

    def verify(self) -> None:
        """Raise ``ConfigError`` that names the first example which the check contradicts.

        An example's expectation is a decision or a tier. Where a gate only raises the tier, ``ALLOW`` means no tier.
        """
        if (self.select_facts is not None) is not (Subject.CANDIDATE in self.subjects):
            raise ConfigError(f"Gate {self.number} ({self.name}) judges candidates only with select_facts.")
        for example, expected in self.examples:
            verdict = self.check(example)
            if (
                expected not in (verdict.decision, verdict.floor)
                or (self.only_raises and expected is Decision.ALLOW and verdict.floor is not None)
                or verdict.gate != self.number
                or not verdict.rule.startswith(f"gate{self.number:02d}.")
            ):
                raise ConfigError(
                    f"Gate {self.number} ({self.name}) says {verdict.decision} ({verdict.rule}), not {expected}, "
                    f"to {example!r}.",
                    remedy="The rule and its examples must be brought into agreement.",
                )
        expectations = {expected for _, expected in self.examples}
        if Decision.ALLOW not in expectations or len(expectations) < 2:
            raise ConfigError(
                f"Gate {self.number} ({self.name}) needs examples of what it allows and of what it does not."
            )
