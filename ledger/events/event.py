"""Base class of ledger events, the list of their classes, and the parser from an entry to its event.

A class declares its kind, its name and its fields; ``phase`` is the phase that always records it, if there is one.
Fields that an older release did not write, or that a reader can do without, have a default. When fields change, raise
``version`` and override :meth:`LedgerEvent.upgrade`: stored bytes never change, so entries of all versions remain.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, PlainSerializer, ValidationError

from ledger.vocabulary import Complexity, Draft, EntryKind, Frozen, Spend, State, Tier, Urgency

Json = dict[str, Any]
"""JSON object, for inputs or results whose type is defined in another room."""

NO_SPEND = Spend()
TAGS = ("event", "decision", "queue")
"""Payload fields that can hold an event's name. In a name, ``decision.`` and ``queue.`` stand for the latter two."""
VERSION_FIELD = "v"
"""Payload field of an event's version; absent from version 1."""

_BY_NAME = PlainSerializer(lambda member: member.name, return_type=str)


def _parse_member(enum: type[Tier] | type[Complexity] | type[Urgency]) -> BeforeValidator:
    return BeforeValidator(lambda value: enum.__members__.get(value, value) if isinstance(value, str) else value)


TierName = Annotated[Tier, _parse_member(Tier), _BY_NAME]
ComplexityName = Annotated[Complexity, _parse_member(Complexity), _BY_NAME]
UrgencyName = Annotated[Urgency, _parse_member(Urgency), _BY_NAME]

CLASSES: dict[tuple[EntryKind, str], type[LedgerEvent]] = {}
"""Every event class by kind and name."""


def _split_title(title: str) -> tuple[str, str]:
    """The payload field in which a full name is stored, and the value stored there."""
    first, _, rest = title.partition(".")
    return (first, rest) if first in TAGS else (TAGS[0], title)


class LedgerEvent(Frozen):
    """What one entry records. A subclass with a ``kind`` is registered under its ``name``."""

    KIND: ClassVar[EntryKind]
    NAME: ClassVar[str]
    PHASE: ClassVar[State | None] = None
    VERSION: ClassVar[int] = 1

    def __init_subclass__(
        cls,
        *,
        kind: EntryKind | None = None,
        name: str = "",
        phase: State | None = None,
        version: int = 1,
        **config: Any,
    ) -> None:
        super().__init_subclass__(**config)
        if kind is not None:
            cls.KIND, cls.NAME, cls.PHASE, cls.VERSION = kind, name, phase, version
            CLASSES[kind, name] = cls

    @classmethod
    def upgrade(cls, fields: Json, version: int) -> Json:
        """The fields of an entry of an older version, as this version names them."""
        return fields

    @property
    def title(self) -> str:
        """The full name of the event."""
        return self.NAME

    @classmethod
    def marker(cls) -> bytes:
        """Bytes in every stored entry of this class: its name; for a family a prefix, without the closing quote."""
        tag, name = _split_title(cls.NAME)
        return f'"{tag}":"{name}'.encode() + (b"" if cls.NAME.endswith(".") else b'"')

    def payload(self) -> Json:
        """The payload of its entry: name, version, and the fields that were set."""
        tag, name = _split_title(self.title)
        version = {} if self.VERSION == 1 else {VERSION_FIELD: self.VERSION}
        return {tag: name, **version, **self.model_dump(mode="json", include=self.model_fields_set - {"verb"})}

    def draft(
        self,
        *,
        op_id: str | None = None,
        phase: State | None = None,
        spend: Spend = NO_SPEND,
        causes: tuple[int, ...] = (),
    ) -> Draft:
        """The unwritten entry of this event."""
        return Draft(
            kind=self.KIND, op_id=op_id, phase=phase or self.PHASE, payload=self.payload(), spend=spend, causes=causes
        )


class EventFamily(LedgerEvent):
    """Events with the same fields, named ``NAME`` + ``verb``; ``NAME`` ends in a dot."""

    verb: str

    @property
    def title(self) -> str:
        return f"{self.NAME}{self.verb}"


class UnknownEvent(LedgerEvent):
    """An entry without a class: of a newer release, or with fields that this one cannot read."""

    stored_name: str = ""

    @property
    def title(self) -> str:
        return self.stored_name


E = TypeVar("E", bound=LedgerEvent)


def title_of(entry: Draft) -> str:
    """The full name of the event in an entry; empty when it has none."""
    tag = next((tag for tag in TAGS if tag in entry.payload), None)
    return "" if tag is None else f"{'' if tag == TAGS[0] else f'{tag}.'}{entry.payload[tag]}"


def read_event(entry: Draft) -> LedgerEvent:
    """The event in an entry; never fails: what this release cannot read is an :class:`UnknownEvent`."""
    title = title_of(entry)
    known = CLASSES.get((entry.kind, title)) or CLASSES.get((entry.kind, f"{title.partition('.')[0]}."))
    version = entry.payload.get(VERSION_FIELD, 1)
    if known is None or not isinstance(version, int) or version > known.VERSION:
        return UnknownEvent(stored_name=title)
    fields = known.upgrade(entry.payload, version) if version < known.VERSION else entry.payload
    fields = {**fields, "verb": title.removeprefix(known.NAME)}
    try:
        return known.model_validate({name: fields[name] for name in known.model_fields if name in fields})
    except ValidationError:
        return UnknownEvent(stored_name=title)


def event_in(entry: Draft, wanted: type[E]) -> E | None:
    """The event in an entry if it is of class ``wanted``, else None."""
    event = read_event(entry)
    return event if isinstance(event, wanted) else None
