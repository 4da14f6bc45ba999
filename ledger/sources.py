"""Properties of each source of signals: routing, priority and urgency, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ledger.vocabulary import Frozen, Source, SourceClass, Urgency


class SourceFacts(Frozen):
    """Properties of one source. ``rank``: lower runs first. ``urgency``: the default, which a sensor may override.
    ``from_outside``: the text of its signals comes from outside the repository."""

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
        Source.RUNTIME_HEALTH: SourceFacts(routed_as=SourceClass.REFLEX, rank=2, urgency=Urgency.HIGH),
        Source.VOICE_HUMAN: SourceFacts(routed_as=SourceClass.REFLEX, rank=1, urgency=Urgency.CRITICAL),
        Source.CROSS_REPO_DRIFT: SourceFacts(
            routed_as=SourceClass.STANDARD, rank=4, urgency=Urgency.NORMAL, from_outside=True
        ),
        Source.PERFORMANCE_REGRESSION: SourceFacts(routed_as=SourceClass.STANDARD, rank=4, urgency=Urgency.NORMAL),
        Source.VISION_SENSOR: SourceFacts(
            routed_as=SourceClass.STANDARD, rank=4, urgency=Urgency.NORMAL, from_outside=True
        ),
        Source.CAPABILITY_GAP: SourceFacts(routed_as=SourceClass.STANDARD, rank=4, urgency=Urgency.NORMAL),
        Source.SCHEDULED: SourceFacts(routed_as=SourceClass.STANDARD, rank=5, urgency=Urgency.NORMAL),
        Source.EXPLORATION: SourceFacts(routed_as=SourceClass.BACKGROUND, rank=7, urgency=Urgency.LOW),
        Source.WEB_INTELLIGENCE: SourceFacts(
            routed_as=SourceClass.BACKGROUND, rank=7, urgency=Urgency.LOW, from_outside=True
        ),
        Source.INTENT_DISCOVERY: SourceFacts(routed_as=SourceClass.SPECULATIVE, rank=8, urgency=Urgency.LOW),
    }
)
