"""Advisories in the form of OSV (https://ossf.github.io/osv-schema/): what they say of a version. Pure; they are data.

Only the ecosystem PyPI, whose versions are compared as PEP 440 says. A withdrawn advisory says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from sensors.pins import canonical, parsed

if TYPE_CHECKING:
    from packaging.version import Version

ECOSYSTEM = "PyPI"
ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
AdvisoryId = Annotated[str, Field(pattern=ID)]
Word = Annotated[str, Field(max_length=200)]
IDS_SHOWN = 4


class _Shape(BaseModel):
    """A part of an advisory: unknown fields are passed over, known ones have to be right."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Event(_Shape):
    introduced: Word | None = None
    fixed: Word | None = None
    last_affected: Word | None = None
    limit: Word | None = None


class _Range(_Shape):
    type: Word
    events: tuple[_Event, ...] = ()


class _Package(_Shape):
    ecosystem: Word
    name: Word


class _Affected(_Shape):
    package: _Package | None = None
    ranges: tuple[_Range, ...] = ()
    versions: tuple[Word, ...] = ()

    def speaks_of(self, package: str) -> bool:
        return (
            self.package is not None
            and self.package.ecosystem.partition(":")[0] == ECOSYSTEM
            and canonical(self.package.name) == package
        )


class Advisory(_Shape):
    """The fields that are read."""

    id: AdvisoryId
    modified: Word = ""
    withdrawn: Word | None = None
    aliases: tuple[AdvisoryId, ...] = ()
    summary: str = ""
    details: str = ""
    affected: tuple[_Affected, ...] = ()


def affects(advisory: Advisory, package: str, version: Version) -> bool:
    """Does the advisory say that this version of ``package`` (canonical name) has the defect?"""
    if advisory.withdrawn:
        return False
    about = [affected for affected in advisory.affected if affected.speaks_of(package)]
    if any(parsed(listed) == version for affected in about for listed in affected.versions):
        return True
    ranges = (r for affected in about for r in affected.ranges if r.type == "ECOSYSTEM")
    return any(_within(r, version) for r in ranges)


def fixes(advisory: Advisory, package: str) -> Iterator[Version]:
    """The versions that an advisory calls fixed."""
    for affected in advisory.affected:
        for one in affected.ranges if affected.speaks_of(package) else ():
            for event in one.events if one.type == "ECOSYSTEM" else ():
                version = parsed(event.fixed) if event.fixed else None
                if version is not None:
                    yield version


def safe_version(package: str, pinned: Version, advisories: Sequence[Advisory]) -> Version | None:
    """The lowest later version that is called fixed and has none of these defects; None: nobody knows of one."""
    called = {version for advisory in advisories if not advisory.withdrawn for version in fixes(advisory, package)}
    later = sorted(v for v in called if v > pinned and (pinned.is_prerelease or not v.is_prerelease))
    return next((v for v in later if not any(affects(advisory, package, v) for advisory in advisories)), None)


def merged(advisories: Iterable[Advisory]) -> tuple[tuple[Advisory, ...], ...]:
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


def named(group: Sequence[Advisory]) -> str:
    """``GHSA-x (CVE-y, PYSEC-z)``."""
    first = group[0].id
    others = sorted({name for advisory in group for name in (advisory.id, *advisory.aliases)} - {first})
    return f"{first} ({', '.join(others[:IDS_SHOWN])})" if others else first


def _within(one: _Range, version: Version) -> bool:
    """Whether a range holds a version: its events in order of their versions switch it on and off."""
    limits = [parsed(event.limit) for event in one.events if event.limit and event.limit != "*"]
    if limits and not any(limit is not None and version < limit for limit in limits):
        return False
    inside = False
    for at, event in sorted(_placed(one.events), key=lambda pair: (pair[0] is not None, pair[0])):
        if event.introduced is not None:
            inside = inside or at is None or version >= at
        elif at is not None and (version > at or (version == at and event.fixed is not None)):
            inside = False
    return inside


def _placed(events: Sequence[_Event]) -> Iterator[tuple[Version | None, _Event]]:
    """Each event with its version; None: before all versions. One with a version that is none is passed over."""
    for event in events:
        text = event.introduced or event.fixed or event.last_affected
        if event.introduced == "0":
            yield None, event
        elif text is not None and (at := parsed(text)) is not None:
            yield at, event
