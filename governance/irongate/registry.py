"""The gates by number. Each gate's examples are checked when this module is loaded: a rule that no longer says what
its examples say cannot be used at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from governance.irongate.candidate import (
    g01_containment,
    g02_protected,
    g04_exploration,
    g05_characters,
    g06_coverage,
    g11_staleness,
    g13_shrink,
    g14_noop,
    g15_secrets,
    g16_tests,
    g17_dangerous,
    g20_unattended,
)
from governance.irongate.op import g07_cost, g08_approval, g09_ceiling, g10_signatures, g12_lock, g19_recursion
from governance.irongate.tool import g03_commands, g18_injection
from ledger.errors import ConfigError
from ledger.vocabulary import Decision, Frozen, Tier, Verdict

F = TypeVar("F", bound=Frozen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A gate as the registry knows it. ``judge`` takes its facts as JSON, so that a decision can be replayed."""

    number: int
    name: str
    judge: Callable[[str | bytes], Verdict]
    examples: int
    replayable: bool


def gate(
    number: int,
    name: str,
    check: Callable[[F], Verdict],
    facts: type[F],
    examples: Iterable[tuple[F, Decision | Tier]],
    *,
    replayable: bool = True,
) -> Gate:
    """A gate whose examples hold. Raises ``ConfigError`` that names the first one which does not.

    A gate that refuses nothing and only raises the tier has a tier as what it says to an example; to what it allows it
    says nothing then.
    """
    rows = tuple(examples)
    expectations = {expected for _, expected in rows}
    only_raises = expectations.isdisjoint((Decision.DENY, Decision.REPAIR))
    for example, expected in rows:
        verdict = check(example)
        if (
            expected not in (verdict.decision, verdict.floor)
            or (only_raises and expected is Decision.ALLOW and verdict.floor is not None)
            or verdict.gate != number
            or not verdict.rule.startswith(f"gate{number:02d}.")
        ):
            raise ConfigError(
                f"Gate {number} ({name}) says {verdict.decision} ({verdict.rule}), not {expected}, to {example!r}.",
                remedy="The rule and its examples must be brought into agreement.",
            )
    if Decision.ALLOW not in expectations or len(expectations) < 2:
        raise ConfigError(f"Gate {number} ({name}) needs examples of what it allows and of what it does not.")
    return Gate(
        number=number,
        name=name,
        judge=lambda raw: check(facts.model_validate_json(raw)),
        examples=len(rows),
        replayable=replayable,
    )


def _by_number(gates: Iterable[Gate]) -> Mapping[int, Gate]:
    table: dict[int, Gate] = {}
    for item in gates:
        if item.number in table:
            raise ConfigError(f"Two gates have the number {item.number}.")
        table[item.number] = item
    return MappingProxyType(table)


GATES: Mapping[int, Gate] = _by_number(
    (
        gate(1, "path containment", g01_containment.check, g01_containment.ContainmentFacts, g01_containment.EXAMPLES),
        gate(2, "protected paths", g02_protected.check, g02_protected.ProtectedPathFacts, g02_protected.EXAMPLES),
        gate(3, "commands", g03_commands.check, g03_commands.CommandFacts, g03_commands.EXAMPLES),
        gate(4, "exploration first", g04_exploration.check, g04_exploration.ExplorationFacts, g04_exploration.EXAMPLES),
        gate(5, "characters", g05_characters.check, g05_characters.CharacterFacts, g05_characters.EXAMPLES),
        gate(6, "coverage", g06_coverage.check, g06_coverage.CoverageFacts, g06_coverage.EXAMPLES),
        gate(7, "cost", g07_cost.check, g07_cost.CostFacts, g07_cost.EXAMPLES),
        gate(8, "approval time-out", g08_approval.check, g08_approval.ApprovalFacts, g08_approval.EXAMPLES),
        gate(9, "worker ceiling", g09_ceiling.check, g09_ceiling.CeilingFacts, g09_ceiling.EXAMPLES),
        gate(10, "signatures", g10_signatures.check, g10_signatures.SignatureFacts, g10_signatures.EXAMPLES),
        gate(11, "staleness", g11_staleness.check, g11_staleness.StalenessFacts, g11_staleness.EXAMPLES),
        gate(12, "lock expiry", g12_lock.check, g12_lock.LockFacts, g12_lock.EXAMPLES),
        gate(13, "shrink and elision", g13_shrink.check, g13_shrink.ShrinkFacts, g13_shrink.EXAMPLES),
        gate(14, "no-op", g14_noop.check, g14_noop.NoopFacts, g14_noop.EXAMPLES),
        # Its facts would be the secrets themselves: they are not stored, so there is nothing to replay from.
        gate(15, "secrets", g15_secrets.check, g15_secrets.SecretFacts, g15_secrets.EXAMPLES, replayable=False),
        gate(16, "test integrity", g16_tests.check, g16_tests.ChangedTestFacts, g16_tests.EXAMPLES),
        gate(17, "dangerous code", g17_dangerous.check, g17_dangerous.DangerFacts, g17_dangerous.EXAMPLES),
        gate(18, "injection", g18_injection.check, g18_injection.InjectionFacts, g18_injection.EXAMPLES),
        gate(19, "recursion", g19_recursion.check, g19_recursion.RecursionFacts, g19_recursion.EXAMPLES),
        gate(20, "unattended changes", g20_unattended.check, g20_unattended.UnattendedFacts, g20_unattended.EXAMPLES),
    )
)
