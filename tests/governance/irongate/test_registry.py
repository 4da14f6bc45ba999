"""Every gate's own table, and that a gate which does not keep to it cannot be loaded."""

from __future__ import annotations

import pytest

from governance.irongate.candidate import g16_tests
from governance.irongate.op import g07_cost
from governance.irongate.registry import GATES, gate
from ledger.errors import ConfigError
from ledger.vocabulary import Decision, Verdict


def test_the_gates_of_this_house() -> None:
    assert sorted(GATES) == list(range(1, 21))
    assert all(item.examples >= 3 for item in GATES.values())
    assert [n for n, item in GATES.items() if not item.replayable] == [15]


def test_a_rule_that_breaks_its_example_is_not_loaded() -> None:
    def lenient(facts: g07_cost.CostFacts) -> Verdict:
        return Verdict(gate=7, rule="gate07.ok")

    with pytest.raises(ConfigError, match=r"Gate 7 \(cost\) says allow"):
        gate(7, "cost", lenient, g07_cost.CostFacts, g07_cost.EXAMPLES)


def test_a_rule_without_a_denying_example_is_not_loaded() -> None:
    rows = [row for row in g07_cost.EXAMPLES if row[1] is Decision.ALLOW]
    with pytest.raises(ConfigError, match="needs examples"):
        gate(7, "cost", g07_cost.check, g07_cost.CostFacts, rows)


def test_a_rule_that_reports_another_number_is_not_loaded() -> None:
    with pytest.raises(ConfigError):
        gate(8, "cost", g07_cost.check, g07_cost.CostFacts, g07_cost.EXAMPLES)


def test_stored_facts_give_the_same_verdict() -> None:
    for facts, expected in g16_tests.EXAMPLES:
        verdict = GATES[16].judge(facts.model_dump_json())
        assert verdict == g16_tests.check(facts)
        assert verdict.decision is expected


@pytest.mark.parametrize("row", g16_tests.FLOORS, ids=lambda row: row[0].path)
def test_floors_of_test_integrity(row: tuple[g16_tests.ChangedTestFacts, object]) -> None:
    assert g16_tests.check(row[0]).floor is row[1]
