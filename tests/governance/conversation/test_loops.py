"""Going round in circles has names; nothing else is called so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.conversation.result import (
    END_REASONS,
    MONOLOGUE,
    REPEATS,
    ConversationEnd,
    ConversationStep,
    find_loop,
    find_loop_within,
)

A, B, C = (
    ConversationStep("read_file a", "1"),
    ConversationStep("read_file b", "1"),
    ConversationStep("run_tests", "red"),
)
OTHER_RESULT = ConversationStep("read_file a", "2")
NOTHING = ConversationStep("", "")

CASES = {
    "nothing yet": ((), None),
    "twice the same": ((A, A), None),
    "three times the same": ((B, A, A, A), ConversationEnd.REPEAT),
    "the same call, another result": ((A, OTHER_RESULT, A), None),
    "the same call, results that change": ((A, OTHER_RESULT, ConversationStep("read_file a", "3")), None),
    "to and fro once": ((A, B, A), None),
    "to and fro": ((C, A, B, A, B), ConversationEnd.ALTERNATION),
    "to and fro, another result": ((A, B, OTHER_RESULT, B), None),
    "one turn of nothing": ((A, NOTHING), None),
    "two turns of nothing": ((A, NOTHING, NOTHING), ConversationEnd.MONOLOGUE),
    "nothing, a call, nothing": ((NOTHING, A, NOTHING), None),
    "calls and nothing in turn": ((NOTHING, A, NOTHING, A), None),
    "three in a circle": ((A, B, C, A, B, C), None),
}


@pytest.mark.parametrize(("steps", "end"), CASES.values(), ids=CASES.keys())
def test_circles_by_name(steps: tuple[ConversationStep, ...], end: ConversationEnd | None) -> None:
    assert find_loop(steps) is end


steps = st.lists(st.sampled_from([A, B, C, OTHER_RESULT, NOTHING]), max_size=14)


@settings(deadline=None)
@given(steps, steps)
def test_only_the_end_counts(before: list[ConversationStep], tail: list[ConversationStep]) -> None:
    """What was long ago changes nothing, and what goes on adding to a circle stays in it."""
    if len(tail) >= 4:
        assert find_loop([*before, *tail]) is find_loop(tail)
    if find_loop(tail) is ConversationEnd.REPEAT:
        assert find_loop([*tail, tail[-1]]) is ConversationEnd.REPEAT
    if find_loop(tail) is ConversationEnd.ALTERNATION:
        assert find_loop([*tail, tail[-2]]) is ConversationEnd.ALTERNATION


@settings(deadline=None)
@given(steps)
def test_steps_that_all_differ_are_no_circle(found: list[ConversationStep]) -> None:
    fresh = [ConversationStep(f"{number} {step.call}", step.result) for number, step in enumerate(found)]
    assert find_loop(fresh) is None


@settings(deadline=None)
@given(steps, steps)
def test_a_circle_within_a_turn_is_seen_whatever_follows_in_it(
    before: list[ConversationStep], fresh: list[ConversationStep]
) -> None:
    each = [find_loop([*before, *fresh[:count]]) for count in range(1, len(fresh) + 1)]
    assert find_loop_within(before, fresh) is next((end for end in each if end), None)


@settings(deadline=None)
@given(st.integers(0, 6))
def test_repeats_and_monologues_need_their_number(count: int) -> None:
    assert (find_loop([A] * count) is ConversationEnd.REPEAT) is (count >= REPEATS)
    assert (find_loop([NOTHING] * count) is ConversationEnd.MONOLOGUE) is (count >= MONOLOGUE)


def test_every_circle_is_told_in_words() -> None:
    assert all(end in END_REASONS for end in ConversationEnd if end.value.startswith("stuck"))
