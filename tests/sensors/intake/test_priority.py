from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.sources import SOURCES
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.intake.priority import PriorityInputs, order_key, priority, size_penalty

F, M = Source("test_failure"), Source.MANUAL
C, H, N, L = Urgency.CRITICAL, Urgency.HIGH, Urgency.NORMAL, Urgency.LOW


@pytest.mark.parametrize(
    ("source", "urgency", "files", "confidence", "behind", "alignment", "expected"),
    [
        (F, N, 0, 0, 0, 0, 2),
        (M, N, 0, 0, 0, 0, 1),
        (F, C, 1, 0, 0, 0, -1),
        (F, H, 1, 0, 0, 0, 1),
        (F, L, 1, 0, 0, 0, 2),
        (F, N, 2, 0, 0, 0, 3),
        (F, N, 4, 0, 0, 0, 3),
        (F, N, 5, 0, 0, 0, 4),
        (F, N, 1, 8_999, 0, 0, 2),
        (F, N, 1, 9_000, 0, 0, 1),
        (F, N, 1, 0, 2, 0, 0),
        (F, N, 1, 0, 3, 0, -1),
        (F, N, 1, 0, 99, 0, -1),
        (F, N, 1, 0, 0, 2, 0),
        (M, C, 1, 10_000, 3, 2, -8),
    ],
)
def test_formula(
    source: Source, urgency: Urgency, files: int, confidence: int, behind: int, alignment: int, expected: int
) -> None:
    inputs = PriorityInputs(
        source=source, urgency=urgency, files=files, confidence_bp=confidence, behind=behind, alignment=alignment
    )
    assert priority(inputs) == expected


def test_every_source_has_a_rank_and_a_class() -> None:
    for source in SOURCES:
        assert priority(PriorityInputs(source=source, urgency=N, files=0, confidence_bp=0)) < 99
        assert (SOURCES[source].routed_as is SourceClass.REFLEX) == (SOURCES[source].rank <= 2)


@given(st.sampled_from(Urgency), st.sampled_from(Urgency))
def test_a_higher_urgency_never_runs_later(one: Urgency, other: Urgency) -> None:
    def of(urgency: Urgency) -> int:
        return priority(PriorityInputs(source=F, urgency=urgency, files=1, confidence_bp=0))

    if one > other:
        assert of(one) <= of(other)


@given(st.integers(0, 50), st.integers(0, 50))
def test_more_files_are_never_lighter(few: int, more: int) -> None:
    assert few > more or size_penalty(few) <= size_penalty(more)


@settings(deadline=None)
@given(points=st.integers(-10, 110), later=st.integers(-10, 110), ageing=st.integers(1, 10**6))
def test_ageing_lifts_one_point_in_its_time(points: int, later: int, ageing: int) -> None:
    gap = points - later  # the newcomer is better by that many points
    arrived_in_time = order_key(later, gap * ageing - 1, ageing)
    arrived_too_late = order_key(later, gap * ageing + 1, ageing)
    assert arrived_in_time < order_key(points, 0, ageing) < arrived_too_late


@given(asserted=st.integers(0, 10_000), hits=st.integers(0, 40), misses=st.integers(0, 40))
def test_what_a_source_was_right_about_moves_it_by_one_point_at_most(asserted: int, hits: int, misses: int) -> None:
    fresh = PriorityInputs(source=F, urgency=H, files=1, confidence_bp=asserted)
    known = fresh.model_copy(update={"hits": hits, "outcomes": hits + misses})
    worse = known.model_copy(update={"outcomes": hits + misses + 1})
    assert abs(priority(known) - priority(fresh)) <= 1
    assert priority(worse) >= priority(known)
