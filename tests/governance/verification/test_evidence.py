"""Plausible or verified: what was not shown to the author of a repair is a check of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from governance.verification.evidence import VERIFIED, choose_shown, evidence, function_of, held_out

TESTS = st.lists(st.builds("t.py::test_{}[{}]".format, st.integers(0, 4), st.integers(0, 2)), max_size=9, unique=True)


@given(TESTS, st.integers(1, 3))
def test_half_of_the_functions_are_held_out_where_there_are_two(tests: list[str], most: int) -> None:
    shown, functions = choose_shown(tests, most), {function_of(test) for test in tests}
    held = held_out(tests, shown)
    assert set(shown) <= functions and len(shown) <= most
    assert bool(held) is (len(functions) > 1)
    assert {function_of(test) for test in held}.isdisjoint(shown)
    assert len(shown) >= min(1, len(functions))
    assert (evidence(tests, shown).level == VERIFIED) is bool(held)


def test_the_words() -> None:
    assert str(evidence(["a::t"], ["a::t"])) == "plausible; the repaired test was shown to its author"
    assert str(evidence(["a::t[1]", "a::t[2]"], ["a::t"])) == "plausible; all repaired tests were shown to its author"
    assert str(evidence(["a::t", "a::u"], ["a::t"])) == "verified; 1 of 2 repaired tests was not shown to its author"
    assert str(evidence(["a::t", "a::u"], None)) == "plausible; its author read the failing tests"
