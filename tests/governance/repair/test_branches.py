"""Partial repairs: which are kept, and how two of them become one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.repair.partial_repairs import carried, worth_keeping
from governance.repair.ranking import Partial, Variant
from governance.repair.spans import Move, Span

TEXT = "abcdefghij" * 3


def variant(start: int, end: int, text: str, *, path: str = "a.py", lead: str = "", tail: str = "") -> Variant:
    span = Span(start, end, 1, Move.EXPRESSION, lead=lead, tail=tail)
    return Variant(path=path, span=span, text=text, base=TEXT)


def partial(changed: Variant, *fixed: str, shortcut: str = "", size: int = 1) -> Partial:
    return Partial(variant=changed, fixed=frozenset(fixed), shortcut=shortcut, size=size)


def test_the_best_for_each_set_of_tests_is_kept() -> None:
    large, small = partial(variant(0, 1, "X"), "a", size=90), partial(variant(0, 1, "Y"), "a", size=1)
    more, copied = (
        partial(variant(2, 3, "Z"), "b", "c", size=90),
        partial(variant(4, 5, "W"), "a", "b", "c", shortcut="it copies"),
    )
    assert worth_keeping([large, small, copied, more], 5) == [more, small]
    assert worth_keeping([large, small, copied, more], 1) == [more]
    assert worth_keeping([large], 0) == []


SPOTS = st.tuples(st.integers(0, 30), st.integers(0, 5), st.text("XYZ\n", max_size=4), st.sampled_from(["", " ", "\n"]))


@settings(deadline=None)
@given(SPOTS, SPOTS)
def test_both_changes_are_in_whichever_comes_first(
    one: tuple[int, int, str, str], two: tuple[int, int, str, str]
) -> None:
    a, b = (variant(s, min(s + n, 30), t, lead=lead, tail=lead) for s, n, t, lead in (one, two))
    meet = a.span.end > b.span.start and b.span.end > a.span.start
    results = []
    for kept, other in ((a, b), (b, a)):
        found = carried(kept, [partial(other, "t")], ["t"])
        if meet:
            assert not found
        elif found:
            ((path, proposed),) = found
            assert path == "a.py"
            results.append(proposed.span.fill(kept.source, proposed.text))
    if not meet and a.span.start != b.span.start:
        assert len(results) == 2 and results[0] == results[1]
        first, last = sorted((a, b), key=lambda v: v.span.start)
        assert results[0] == first.span.fill(last.source, first.text)


def test_only_what_mends_something_that_is_left_is_carried_over() -> None:
    kept, other = variant(0, 1, "X"), partial(variant(4, 5, "Y"), "a")
    assert carried(kept, [other], ["b"]) == ()
    elsewhere = partial(variant(0, 1, "Z", path="b.py"), "b")
    ((path, proposed),) = carried(kept, [other, elsewhere], ["b"])
    assert (path, proposed.span) == ("b.py", elsewhere.variant.span)
