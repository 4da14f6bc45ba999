from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.vocabulary import Entry, EntryKind
from sensors.capability_gap.gaps import NOWHERE, Gap, GapKind, entropy, goal_class, is_real, read_gaps

OP = "op-1"
CLASSES = st.lists(st.sampled_from("abcdefgh"), max_size=40)


def entries(*told: tuple[EntryKind, dict[str, object]]) -> list[Entry]:
    return [
        Entry(seq=n, at="", prev="", hash="", kind=kind, op_id=OP, payload=payload)
        for n, (kind, payload) in enumerate(told, start=1)
    ]


def started(**changed: object) -> tuple[EntryKind, dict[str, object]]:
    facts = {"event": "op.started", "origin": "backlog", "goal": "Do it", "depth": 1}
    return EntryKind.DECISION, {**facts, **changed}


def ended(state: str, cause: str = "none", *targets: str) -> tuple[EntryKind, dict[str, object]]:
    return EntryKind.TRANSITION, {"event": "terminal", "to": state, "root_cause": cause, "targets": list(targets)}


def refused(tool: str, rule: str) -> tuple[EntryKind, dict[str, object]]:
    return EntryKind.VERDICT, {"event": "gate", "gate": 0, "tool": tool, "rule": rule, "decision": "deny"}


def used(tool: str, *, ok: bool) -> tuple[EntryKind, dict[str, object]]:
    return EntryKind.TOOL, {"event": "tool.called", "tool": tool, "ok": ok}


@given(CLASSES)
def test_entropy_is_between_nothing_and_an_even_spread(classes: list[str]) -> None:
    kinds = len(set(classes))
    assert 0 <= entropy(classes) <= (math.log2(kinds) if kinds else 0) + 1e-9
    assert entropy(classes) == pytest.approx(entropy(sorted(classes)))
    assert entropy(classes * 3) == pytest.approx(entropy(classes))  # how often does not count, only how scattered


@given(CLASSES)
def test_one_sighting_of_a_kind_that_was_not_there_scatters_most(classes: list[str]) -> None:
    assert entropy([*classes, "z"]) >= max((entropy([*classes, each]) for each in set(classes)), default=0) - 1e-9


def test_entropy_of_what_can_be_counted_on_fingers() -> None:
    assert entropy([]) == entropy(["a"] * 9) == 0
    assert entropy(["a", "b"]) == 1 and entropy("abcd") == 2
    assert entropy("aab") == pytest.approx(0.9183, abs=1e-4)


def test_one_kind_of_goal_is_no_gap_however_often_it_asks() -> None:
    assert not is_real(["a"] * 100, least=3, least_entropy_milli=900)
    assert not is_real(["a", "b"], least=3, least_entropy_milli=900)
    assert is_real(["a", "a", "b"], least=3, least_entropy_milli=900)
    assert not is_real(["a"] * 9 + ["b"], least=3, least_entropy_milli=900)


@pytest.mark.parametrize(
    ("origin", "goal", "named"),
    [
        ("backlog", "Fix the cart", "backlog"),
        ("manual", "Fix the cart", "manual: fix"),
        ("voice_human", "please rename total", "voice_human: rename"),
        ("manual", "The cart is broken", "manual: other"),
    ],
)
def test_the_class_of_a_goal(origin: str, goal: str, named: str) -> None:
    assert goal_class(origin, goal) == named


def test_a_tool_that_is_not_there_is_met_once_an_op() -> None:
    seen = read_gaps(
        entries(
            started(), refused("run_sql", "policy.unknown_tool"), refused("run_sql", "policy.unknown_tool"),
            refused("bash", "policy.switched_off"), refused("mcp_x_y", "policy.mcp_not_listed"),
            refused("x; rm -rf /", "policy.unknown_tool"), used("read_file", ok=True), used("bash", ok=False),
            ended("COMPLETE", "none", "a.py"),
        )
    )  # fmt: skip
    assert seen is not None and (seen.goal_class, seen.depth) == ("backlog", 1)
    assert [str(each.gap) for each in seen.gaps] == ["tool:run_sql", "tool:mcp_x_y"]
    assert [name for name, _ in seen.served] == [
        "tool:read_file", "file:a.py", "missing:provider_unavailable", "missing:sandbox_missing",
    ]  # fmt: skip


def test_an_op_without_a_candidate_tells_of_its_files_or_of_its_kind() -> None:
    seen = read_gaps(entries(started(), ended("POSTMORTEM", "no_candidate", "a.py", "b.py")))
    nowhere = read_gaps(entries(started(), ended("POSTMORTEM", "no_candidate")))
    without = read_gaps(entries(started(), ended("POSTMORTEM", "sandbox_missing", "a.py")))
    assert seen is not None and nowhere is not None and without is not None
    assert [(each.gap.kind, each.gap.name, each.seq) for each in seen.gaps] == [
        (GapKind.FILE, "a.py", 2), (GapKind.FILE, "b.py", 2),
    ]  # fmt: skip
    assert [str(each.gap) for each in nowhere.gaps] == [str(Gap(GapKind.GOAL, NOWHERE))]
    assert [str(each.gap) for each in without.gaps] == ["missing:sandbox_missing"]


def test_what_is_not_over_or_is_about_a_gap_itself_tells_nothing() -> None:
    assert read_gaps(entries(started())) is None
    assert read_gaps(entries(ended("POSTMORTEM", "no_candidate", "a.py"))) is None
    about = started(origin="capability_gap")
    assert read_gaps(entries(about, ended("POSTMORTEM", "no_candidate", "a.py"))) is None
    failed = read_gaps(entries(started(), ended("POSTMORTEM", "tests_failed", "a.py")))
    assert failed is not None and failed.gaps == () and failed.served == ()
