"""What advisories say of a version: real files in the form of OSV, and a plain reading of ranges."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from pydantic import ValidationError

from ledger.vocabulary import VersionAtLeast
from sensors.advisories.matching import Advisory, affects, list_names, merge_aliases, safe_version, spans_above
from sensors.advisories.pins import version_answer

FOLDER = Path(__file__).parent / "osv"
ALL = tuple(Advisory.model_validate_json(path.read_bytes()) for path in sorted(FOLDER.glob("*.json")))
CLIPS = tuple(a for a in ALL if "paper" in a.affected[0].package.name.lower())  # type: ignore[union-attr]


def hits(package: str, version: str) -> list[str]:
    return [a.id for a in ALL if affects(a, package, Version(version))]


def test_ranges_lists_ecosystems_and_what_was_withdrawn() -> None:
    assert hits("paper-clips", "1.2") == ["GHSA-aaaa-bbbb-cccc", "PYSEC-2026-11"]
    assert hits("paper-clips", "1.5.0") == ["GHSA-aaaa-bbbb-cccc", "PYSEC-2026-12"]
    assert hits("paper-clips", "1.6.0") == [] and hits("paper-clips", "2.0.3") == []
    assert hits("paper-clips", "2.0") == ["PYSEC-2026-12"]
    assert hits("stapler", "3.1") == ["GHSA-dddd-eeee-ffff"] and hits("stapler", "3.1.1") == []
    assert hits("jinja2", "3.1.2") == ["GHSA-h5c8-rqwp-cp95"] and hits("jinja2", "3.1.3") == []
    assert [bool(hits("urllib3", v)) for v in ("1.26.17", "1.26.18", "2.0.6", "2.0.7", "2.0.0a1")] == [
        True, False, True, False, False,
    ]  # fmt: skip


def test_the_lowest_version_without_any_of_the_defects() -> None:
    assert safe_version("paper-clips", Version("1.2"), CLIPS) == Version("1.6.0")  # 1.5.0 and 1.5.1 have another one
    assert safe_version("paper-clips", Version("2.0.1"), CLIPS) == Version("2.0.3")
    assert safe_version("stapler", Version("3.1"), ALL) is None
    assert safe_version("urllib3", Version("1.25"), ALL) == Version("1.26.18")


def test_names_of_one_defect_are_one() -> None:
    groups = merge_aliases(a for a in CLIPS if affects(a, "paper-clips", Version("1.2")))
    assert [list_names(group) for group in groups] == ["GHSA-aaaa-bbbb-cccc (CVE-2026-11111, PYSEC-2026-11)"]
    assert len(merge_aliases(ALL)) == len(ALL) - 1
    chain = [_advisory(i, aliases=a) for i, a in (("C", ["X", "Y"]), ("A", ["X"]), ("B", ["Y"]), ("A", ["X"]))]
    assert [[a.id for a in group] for group in merge_aliases(chain)] == [["A", "B", "C"]]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../v1/x"}, {"id": "a b"}, {"id": ""}, {"aliases": ["<b>"]}, {"affected": {"package": 1}},
        {"affected": [{"ranges": [{"type": "ECOSYSTEM", "events": "all"}]}]}, {"summary": 5},
    ],
)  # fmt: skip
def test_what_is_not_in_the_form_is_refused(change: dict[str, Any]) -> None:
    whole = json.loads((FOLDER / "PYSEC-2026-11.json").read_text())
    with pytest.raises(ValidationError):
        Advisory.model_validate({**whole, **change})


def _advisory(name: str, events: object = (), *, aliases: object = (), versions: object = ()) -> Advisory:
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    affected = [{"package": {"ecosystem": "PyPI", "name": "p"}, "ranges": ranges, "versions": versions}]
    return Advisory.model_validate({"id": name, "aliases": aliases, "affected": affected})


numbers = st.integers(0, 12)


@given(st.lists(numbers, min_size=1, max_size=6, unique=True), st.booleans(), numbers, st.randoms())
def test_a_range_is_what_lies_between_its_events(bounds: list[int], last: bool, version: int, random: Any) -> None:
    """Events come in any order; each pair of them bounds a stretch, the last may be open."""
    cut, events, inside = sorted(bounds), [], False
    for start, end in zip(cut[::2], [*cut[1::2], None], strict=False):
        events.append({"introduced": str(start)})
        if end is None:
            inside = inside or version >= start
        else:
            events.append({"last_affected" if last else "fixed": str(end)})
            inside = inside or (start <= version <= end if last else start <= version < end)
    random.shuffle(events)
    assert affects(_advisory("A", events), "p", Version(str(version))) == inside


@given(st.lists(numbers, min_size=1, max_size=6, unique=True), st.booleans(), numbers, numbers)
def test_a_check_names_the_later_versions_that_have_a_defect(
    bounds: list[int], last: bool, wanted: int, pinned: int
) -> None:
    cut = sorted(bounds)
    events = [
        {name: str(at)} for at, name in zip(cut, ["introduced", "last_affected" if last else "fixed"] * 3, strict=False)
    ]
    about = (_advisory("A", events), _advisory("B", versions=["7", "7.0"]))
    but = spans_above("p", Version(str(wanted)), about)
    check = VersionAtLeast(path="requirements.txt", package="p", version=str(wanted), but=but)
    defective = any(affects(advisory, "p", Version(str(pinned))) for advisory in about)
    assert version_answer(check, f"p=={pinned}".encode()).closed == (pinned >= wanted and not defective)


def test_odd_events_say_nothing_and_harm_nothing() -> None:
    odd = [{"introduced": "soon"}, {"fixed": "0.9"}, {}, {"introduced": "1"}, {"fixed": "two"}]
    assert affects(_advisory("A", odd), "p", Version("1.5"))
    assert not affects(_advisory("A", [{"introduced": "soon"}]), "p", Version("1"))
    limited = [{"introduced": "0"}, {"limit": "2"}]
    assert affects(_advisory("A", limited), "p", Version("1.9"))
    assert not affects(_advisory("A", limited), "p", Version("2"))
    assert affects(_advisory("A", versions=["2004d", "1.0"]), "p", Version("1"))


VERSIONS = st.integers(0, 12).map(lambda n: f"{n}.0")
KINDS = st.sampled_from(["introduced", "fixed", "last_affected"])
EVENTS = st.lists(st.tuples(KINDS, VERSIONS).map(lambda pair: dict([pair])), max_size=8)


def speaking(name: str, *ranges: list[dict[str, str]]) -> Advisory:
    package = {"ecosystem": "PyPI", "name": "x"}
    each = [{"type": "ECOSYSTEM", "events": events} for events in ranges]
    return Advisory.model_validate({"id": name, "affected": [{"package": package, "ranges": each}]})


@given(st.lists(st.lists(EVENTS, max_size=3), max_size=3))
def test_the_safe_version_is_the_first_that_no_advisory_speaks_of(told: list[list[list[dict[str, str]]]]) -> None:
    advisories = [speaking(f"A-{number}", *ranges) for number, ranges in enumerate(told)]
    fixed = {Version(e["fixed"]) for ranges in told for events in ranges for e in events if "fixed" in e}
    later = sorted(version for version in fixed if version > Version("3.0"))
    plainly = next((version for version in later if not any(affects(a, "x", version) for a in advisories)), None)
    assert safe_version("x", Version("3.0"), advisories) == plainly


def test_an_advisory_of_many_versions_takes_no_time_and_one_of_too_many_is_none() -> None:
    def lying(count: int) -> Advisory:
        events = [{"introduced": "0"}, *({"fixed": f"{n}.1"} for n in range(count))]
        return speaking("A-1", [*events, *({"introduced": f"{n}.0"} for n in range(count))], [{"introduced": "0"}])

    started = time.process_time()
    assert safe_version("x", Version("1.0"), [lying(4_900)]) is None
    assert time.process_time() - started < 3
    with pytest.raises(ValidationError, match="more than"):
        lying(10_000)
