"""What is known of each source of signals: one table for routing, priority and urgency."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ledger.vocabulary import Frozen, Source, SourceClass, Urgency


class SourceFacts(Frozen):
    """``rank``: lower runs first. ``urgency`` is the default; a sensor may know better."""

    routed_as: SourceClass
    rank: int
    urgency: Urgency


SOURCES: Mapping[Source, SourceFacts] = MappingProxyType(
    {
        Source.MANUAL: SourceFacts(routed_as=SourceClass.REFLEX, rank=1, urgency=Urgency.CRITICAL),
        Source.TEST_FAILURE: SourceFacts(routed_as=SourceClass.REFLEX, rank=2, urgency=Urgency.HIGH),
    }
)
