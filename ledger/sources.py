"""What is known of each source of signals: one table for routing, priority and urgency."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ledger.vocabulary import Frozen, Source, SourceClass, Urgency


class SourceFacts(Frozen):
    """``rank``: lower runs first. ``urgency`` is the default; a sensor may know better. ``from_outside``: the words of
    such a signal were written by somebody on another machine."""

    routed_as: SourceClass
    rank: int
    urgency: Urgency
    from_outside: bool = False


SOURCES: Mapping[Source, SourceFacts] = MappingProxyType(
    {
        Source.MANUAL: SourceFacts(routed_as=SourceClass.REFLEX, rank=1, urgency=Urgency.CRITICAL),
        Source.TEST_FAILURE: SourceFacts(routed_as=SourceClass.REFLEX, rank=2, urgency=Urgency.HIGH),
        Source.GITHUB_ISSUE: SourceFacts(
            routed_as=SourceClass.STANDARD, rank=4, urgency=Urgency.NORMAL, from_outside=True
        ),
        Source.BACKLOG: SourceFacts(routed_as=SourceClass.BACKGROUND, rank=5, urgency=Urgency.NORMAL),
        Source.TODO_SCANNER: SourceFacts(routed_as=SourceClass.BACKGROUND, rank=6, urgency=Urgency.LOW),
        Source.DOC_STALENESS: SourceFacts(routed_as=SourceClass.BACKGROUND, rank=6, urgency=Urgency.LOW),
        Source.OPPORTUNITY_MINER: SourceFacts(routed_as=SourceClass.BACKGROUND, rank=6, urgency=Urgency.LOW),
    }
)
