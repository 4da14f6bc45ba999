"""Facts about each source of signals, for routing, priority and evidence.

The sensors' registry declares its sources here when it is imported, so rooms that may not import sensors can look facts
up. A source that no sensor declares (one of an old record) counts as outside words with the lowest priority.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ledger.vocabulary import Frozen, Source, SourceClass, Urgency


class SourceFacts(Frozen):
    """Properties of one source.

    ``rank``: lower runs first. ``urgency``: the default, which a sensor may override. ``from_outside``: the text of its
    signals comes from outside the repository. ``is_request``: a person asks, so trust does not weigh its signals.
    ``is_testimony``: a person wrote the text, so it is a source of evidence of its own. ``is_free_text``: its goals are
    a person's own sentences.
    """

    routed_as: SourceClass
    rank: int
    urgency: Urgency
    from_outside: bool = False
    is_request: bool = False
    is_testimony: bool = False
    is_free_text: bool = False


UNDECLARED = SourceFacts(routed_as=SourceClass.BACKGROUND, rank=9, urgency=Urgency.LOW, from_outside=True)


class _SourceTable(dict[Source, SourceFacts]):
    def __missing__(self, source: Source) -> SourceFacts:
        return UNDECLARED


_declared = _SourceTable()
_declared[Source.MANUAL] = SourceFacts(
    routed_as=SourceClass.REFLEX,
    rank=1,
    urgency=Urgency.CRITICAL,
    is_request=True,
    is_testimony=True,
    is_free_text=True,
)

SOURCES: Mapping[Source, SourceFacts] = MappingProxyType(_declared)


def declare_source(source: Source, facts: SourceFacts) -> None:
    """Add a source to :data:`SOURCES`. Raises ``ValueError`` for a name that is taken."""
    if _declared.setdefault(source, facts) != facts:
        raise ValueError(f"Two sensors have the source {source.value!r}. Give one of them another name.")
