"""Every gate's own table, and that a gate which does not keep to it cannot be loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from governance.irongate.candidate import g16_tests
from governance.irongate.gate import Gate, Subject
from governance.irongate.op import g07_cost
from governance.irongate.registry import GATES, by_number, docs_table
from ledger.errors import ConfigError
from ledger.vocabulary import Decision, Verdict


def test_the_gates_of_this_house() -> None:
    assert list(GATES) == list(range(1, len(GATES) + 1)) and len(GATES) >= 20
    assert all(len(gate.examples) >= 3 for gate in GATES.values())
    assert [n for n, gate in GATES.items() if not gate.is_replayable] == [15]
    assert len({gate.name for gate in GATES.values()}) == len(GATES)


def test_a_rule_that_breaks_its_example_is_not_loaded() -> None:
    def lenient(facts: g07_cost.CostFacts) -> Verdict:
        return Verdict(gate=7, rule="gate07.ok")

    with pytest.raises(ConfigError, match=r"Gate 7 \(cost\) says allow"):
        replace(g07_cost.GATE, check=lenient).verify()


def test_a_rule_without_a_denying_example_is_not_loaded() -> None:
    rows = [row for row in g07_cost.EXAMPLES if row[1] is Decision.ALLOW]
    with pytest.raises(ConfigError, match="needs examples"):
        replace(g07_cost.GATE, examples=tuple(rows)).verify()


def test_a_rule_that_reports_another_number_is_not_loaded() -> None:
    with pytest.raises(ConfigError):
        replace(g07_cost.GATE, number=8).verify()


def test_a_gate_is_not_loaded_twice_nor_without_its_facts_of_a_candidate() -> None:
    with pytest.raises(ConfigError, match="Two gates have the number 7"):
        by_number([g07_cost.GATE, g07_cost.GATE])
    with pytest.raises(ConfigError, match="select_facts"):
        by_number([replace(g16_tests.GATE, select_facts=None)])
    with pytest.raises(ConfigError, match="select_facts"):
        by_number([replace(g07_cost.GATE, subjects=(Subject.CANDIDATE,))])


def test_the_page_lists_every_gate() -> None:
    page = Path(__file__).parents[3] / "docs" / "repair.md"
    assert docs_table() in page.read_text(encoding="utf-8"), f"docs/repair.md needs:\n{docs_table()}"


@pytest.mark.parametrize("gate", GATES.values(), ids=lambda gate: gate.name)
def test_the_verdicts_on_the_examples_can_be_replayed(gate: Gate[Any]) -> None:
    for facts, _ in gate.examples:
        assert gate.judge(facts.model_dump_json()) == gate.check(facts)


def test_stored_facts_give_the_same_verdict() -> None:
    for facts, expected in g16_tests.EXAMPLES:
        verdict = GATES[16].judge(facts.model_dump_json())
        assert verdict == g16_tests.check(facts)
        assert verdict.decision is expected


@pytest.mark.parametrize("row", g16_tests.FLOORS, ids=lambda row: row[0].path)
def test_floors_of_test_integrity(row: tuple[g16_tests.ChangedTestFacts, object]) -> None:
    assert g16_tests.check(row[0]).floor is row[1]
