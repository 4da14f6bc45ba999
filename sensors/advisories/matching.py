"""OSV advisories (https://ossf.github.io/osv-schema/) and the versions that they affect. Pure.

Only the ecosystem PyPI, versions compared by PEP 440. Withdrawn advisories are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ledger.vocabulary import VersionSpan
from sensors.advisories.pins import canonical, parse_version

if TYPE_CHECKING:
    from packaging.version import Version

ECOSYSTEM = "PyPI"
ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
AdvisoryId = Annotated[str, Field(pattern=ID)]
Word = Annotated[str, Field(max_length=200)]
IDS_SHOWN = 4
MOST_PLACES = 10_000  # versions that one advisory names; real ones name some hundreds
MOST_SPANS = 200  # of one check


class _OsvModel(BaseModel):
    """A part of an advisory: unknown fields are passed over, known ones have to be right."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _OsvEvent(_OsvModel):
    introduced: Word | None = None
    fixed: Word | None = None
    last_affected: Word | None = None
    limit: Word | None = None


class _Range(_OsvModel):
    type: Word
    events: tuple[_OsvEvent, ...] = ()


class _Package(_OsvModel):
    ecosystem: Word
    name: Word


class _Affected(_OsvModel):
    package: _Package | None = None
    ranges: tuple[_Range, ...] = ()
    versions: tuple[Word, ...] = ()

    def speaks_of(self, package: str) -> bool:
        return (
            self.package is not None
            and self.package.ecosystem.partition(":")[0] == ECOSYSTEM
            and canonical(self.package.name) == package
        )


class Advisory(_OsvModel):
    """The fields that are read."""

    id: AdvisoryId
    modified: Word = ""
    withdrawn: Word | None = None
    aliases: tuple[AdvisoryId, ...] = ()
    summary: str = ""
    details: str = ""
    affected: tuple[_Affected, ...] = ()

    @property
    def places(self) -> int:
        """How many versions it names."""
        ranges = sum(len(one.events) for affected in self.affected for one in affected.ranges)
        return ranges + sum(len(affected.versions) for affected in self.affected)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.places > MOST_PLACES:
            raise ValueError(f"it names more than {MOST_PLACES} versions")
        return self


class AffectedSpan(NamedTuple):
    """Versions from ``first`` (None: from the first of all) to ``end`` (None: without an end), with it where closed."""

    first: Version | None
    end: Version | None
    closed: bool = False

    def holds(self, version: Version) -> bool:
        if self.first is not None and version < self.first:
            return False
        return self.end is None or version < self.end or (self.closed and version == self.end)


def affects(advisory: Advisory, package: str, version: Version) -> bool:
    """True when this version of ``package`` (canonical name) has the advisory's defect."""
    return any(span.holds(version) for span in spans(advisory, package))


def spans(advisory: Advisory, package: str) -> Iterator[AffectedSpan]:
    """All versions of ``package`` that have the defect."""
    for affected in advisory.affected if not advisory.withdrawn else ():
        if not affected.speaks_of(package):
            continue
        for one in affected.ranges:
            if one.type == "ECOSYSTEM":
                yield from _stretches(one)
        listed = (parse_version(version) for version in affected.versions)
        yield from (AffectedSpan(version, version, closed=True) for version in listed if version is not None)


def spans_above(package: str, version: Version, advisories: Iterable[Advisory]) -> tuple[VersionSpan, ...]:
    """The versions from ``version`` on that have one of the defects, as a closure check names them."""
    found = set()
    for span in (span for advisory in advisories for span in spans(advisory, package)):
        if span.end is None or span.end > version or (span.closed and span.end == version):
            first = version if span.first is None else max(span.first, version)
            found.add((first, span.end, span.closed))
    kept = sorted(found, key=lambda span: span[0])[:MOST_SPANS]
    return tuple(VersionSpan(first=str(f), end=str(end) if end else "", closed=closed) for f, end, closed in kept)


def fixes(advisory: Advisory, package: str) -> Iterator[Version]:
    """The versions that an advisory calls fixed."""
    for affected in advisory.affected:
        for one in affected.ranges if affected.speaks_of(package) else ():
            for event in one.events if one.type == "ECOSYSTEM" else ():
                version = parse_version(event.fixed) if event.fixed else None
                if version is not None:
                    yield version


def safe_version(package: str, pinned: Version, advisories: Sequence[Advisory]) -> Version | None:
    """The lowest later version that is listed as fixed and has none of these defects; None: not known."""
    called = {version for advisory in advisories if not advisory.withdrawn for version in fixes(advisory, package)}
    later = sorted(v for v in called if v > pinned and (pinned.is_prerelease or not v.is_prerelease))
    found = [span for advisory in advisories for span in spans(advisory, package)]
    return next(_outside(later, found), None)


def _outside(versions: Iterable[Version], found: Iterable[AffectedSpan]) -> Iterator[Version]:
    """Those of ``versions``, which are sorted, that no span holds. Each span is looked at once."""
    waiting = sorted(found, key=lambda span: (span.first is not None, span.first))
    reach: tuple[Version, bool] | None = None  # the farthest end of the spans that have begun, and whether with it
    at = 0
    for version in versions:
        while at < len(waiting) and _has_begun(waiting[at], version):
            span = waiting[at]
            if span.end is None:
                return
            reach = max(reach, (span.end, span.closed)) if reach is not None else (span.end, span.closed)
            at += 1
        if reach is None or version > reach[0] or (version == reach[0] and not reach[1]):
            yield version


def _has_begun(span: AffectedSpan, version: Version) -> bool:
    return span.first is None or span.first <= version


def merge_aliases(advisories: Iterable[Advisory]) -> tuple[tuple[Advisory, ...], ...]:
    """The same defect under several names is one: those that name one another as aliases, in groups."""
    groups: list[tuple[set[str], list[Advisory]]] = []
    for advisory in sorted(advisories, key=lambda a: a.id):
        names, members = {advisory.id, *advisory.aliases}, [advisory]
        for group in [g for g in groups if not names.isdisjoint(g[0])]:
            groups.remove(group)
            names |= group[0]
            members = group[1] + members
        groups.append((names, members))
    unique = ({a.id: a for a in members} for _, members in groups)
    return tuple(sorted((tuple(by_id[i] for i in sorted(by_id)) for by_id in unique), key=lambda g: g[0].id))


def list_names(group: Sequence[Advisory]) -> str:
    """``GHSA-x (CVE-y, PYSEC-z)``."""
    first = group[0].id
    others = sorted({name for advisory in group for name in (advisory.id, *advisory.aliases)} - {first})
    return f"{first} ({', '.join(others[:IDS_SHOWN])})" if others else first


def _stretches(one: _Range) -> Iterator[AffectedSpan]:
    """A range as its events in order of their versions begin and end it, not beyond its limits."""
    limits = [limit for event in one.events if event.limit and (limit := parse_version(event.limit)) is not None]
    top = max(limits) if limits else None
    start: Version | None = None
    inside = False
    for at, event in sorted(_placed(one.events), key=lambda pair: (pair[0] is not None, pair[0])):
        if event.introduced is not None:
            start, inside = (start, True) if inside else (at, True)
        elif inside:
            yield _below(AffectedSpan(start, at, closed=event.fixed is None), top)
            inside = False
    if inside:
        yield _below(AffectedSpan(start, None), top)


def _below(span: AffectedSpan, top: Version | None) -> AffectedSpan:
    if top is None or (span.end is not None and (span.end, span.closed) <= (top, False)):
        return span
    return AffectedSpan(span.first, top)


def _placed(events: Sequence[_OsvEvent]) -> Iterator[tuple[Version | None, _OsvEvent]]:
    """Each event with its version; None: before all versions. One with a version that is none is passed over."""
    for event in events:
        text = event.introduced or event.fixed or event.last_affected
        if event.introduced == "0":
            yield None, event
        elif text is not None and (at := parse_version(text)) is not None:
            yield at, event
