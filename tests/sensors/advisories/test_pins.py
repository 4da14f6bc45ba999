"""What files pin, and when a pin is at least a version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from ledger.vocabulary import VersionAtLeast
from sensors.advisories.pins import Pin, UnreadablePins, is_manifest, parse_version, pins, version_answer
from sensors.registry import closure_evaluator
from tests.sensors.trees import Held

REQUIREMENTS = """\
# what we need
Paper_Clips==1.2      # old
stapler[heavy] == 3.1 ; python_version < "3.12"
glue>=2,<3
tape~=1.4
ink===2004d
folder==1.*
pens @ https://example.org/pens.whl
git+https://example.org/ruler
./here
-r other.txt
--index-url https://example.org/simple
erasers==4.0 \\
    --hash=sha256:00 \\
    --hash=sha256:11
"""
PYPROJECT = """\
[build-system]
requires = ["wood==1"]
[project]
name = "desk"
dependencies = ["paper-clips==1.2", "glue"]
[project.optional-dependencies]
more = ["stapler==3.1"]
[dependency-groups]
dev = ["ink==2.0", {include-group = "other"}]
[tool.poetry.dependencies]
python = "3.11"
tape = "1.4.2"
pens = {version = "==2.0", optional = true}
rulers = "^1.1"
cups = [{version = "1.0"}, {version = "2.0"}]
[tool.poetry.group.dev.dependencies]
lamps = "*"
"""
UV = """\
version = 1
[[package]]
name = "desk"
version = "0.1"
source = { editable = "." }
[[package]]
name = "paper-clips"
version = "1.2"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "ruler"
version = "1.0"
source = { git = "https://example.org/ruler" }
"""
POETRY = """\
[[package]]
name = "Paper_Clips"
version = "1.2"
[[package]]
name = "here"
version = "1.0"
[package.source]
type = "directory"
url = "here"
[[package]]
name = "mirror"
version = "2.0"
[package.source]
type = "legacy"
url = "https://example.org/simple"
"""
PIPFILE = '{"_meta": {}, "default": {"paper-clips": {"version": "==1.2"}, "here": {"path": "."}}, "develop": {}}'


def exact(path: str, text: str) -> dict[str, str]:
    return {pin.package: pin.version for pin in pins(path, text.encode()) if pin.version}


def test_each_form_is_read() -> None:
    assert exact("requirements.txt", REQUIREMENTS) == {
        "paper-clips": "1.2", "stapler": "3.1", "ink": "2004d", "erasers": "4.0",
    }  # fmt: skip
    by_name = {pin.package: pin for pin in pins("requirements.txt", REQUIREMENTS.encode())}
    assert (by_name["glue"].least, by_name["tape"].least, by_name["folder"].least) == ("2", "1.4", "1")
    assert [pin.package for pin in by_name.values() if pin.locked] == ["erasers"]
    assert exact("pyproject.toml", PYPROJECT) == {
        "wood": "1", "paper-clips": "1.2", "stapler": "3.1", "ink": "2.0", "tape": "1.4.2", "pens": "2.0",
        "cups": "2.0",
    }  # fmt: skip
    poetry = {pin.package: pin.least for pin in pins("pyproject.toml", PYPROJECT.encode()) if not pin.version}
    assert poetry == {"glue": None, "rulers": "1.1", "lamps": None}
    assert pins("uv.lock", UV.encode()) == (Pin(package="paper-clips", version="1.2", least="1.2", locked=True),)
    assert exact("poetry.lock", POETRY) == {"paper-clips": "1.2", "mirror": "2.0"}
    assert exact("Pipfile.lock", PIPFILE) == {"paper-clips": "1.2"}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("requirements.txt", True), ("a/requirements-dev.txt", True), ("requirements/test.in", True), ("uv.lock", True),
        ("constraints/core.txt", True), ("constraints-3.11.txt", True), ("lib/pyproject.toml", True),
        ("vendor/x/requirements.txt", False), ("requirements.md", False), ("Cargo.lock", False),
    ],
)  # fmt: skip
def test_which_files_are_read(path: str, wanted: bool) -> None:
    assert is_manifest(path) is wanted


@pytest.mark.parametrize("path", ["pyproject.toml", "uv.lock", "Pipfile.lock"])
@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"[" * 100_000, b"package = 1\n", b"[]", b'{"default": []}'])
def test_what_is_none_of_it_is_named_or_empty(path: str, data: bytes) -> None:
    try:
        assert pins(path, data) == ()
    except UnreadablePins as error:
        assert str(error)


def test_our_own_constraints_are_read() -> None:
    text = (Path(__file__).parents[3] / "constraints" / "core.txt").read_bytes()
    assert len(text.splitlines()) == len([pin for pin in pins("constraints.txt", text) if pin.version])


CHECK = VersionAtLeast(path="requirements.txt", package="paper-clips", version="1.6.0")


@pytest.mark.parametrize(
    ("text", "closed", "gone"),
    [
        ("paper-clips==1.6", True, False),
        ("PAPER.clips==1.10.1 # newer", True, False),
        ("paper-clips>=1.6,<2", True, False),
        ("paper-clips~=1.7", True, False),
        ("paper-clips==1.6.0+local", True, False),
        ("paper-clips==1.5.9", False, False),
        ("paper-clips==1.6rc1", False, False),
        ("paper-clips>=1.2", False, False),
        ("paper-clips", False, False),
        ("paper-clips<9", False, False),
        ("paper-clips!=1.2", False, False),
        ("# paper-clips==1.6", False, True),
        ("paper-clips==1.6 ; python_version > '3.11'\npaper-clips==1.2 ; python_version < '3.12'", False, False),
        ("paper-clips-extra==2.0", False, True),
        ("paper-clips @ https://example.org/p.whl", False, True),
    ],
)
async def test_closed_when_the_pin_is_at_the_version_or_later(text: str, closed: bool, gone: bool) -> None:
    answer = await closure_evaluator().is_closed(CHECK, Held({"requirements.txt": text}))
    assert (answer.closed, answer.gone) == (closed, gone), answer.reason
    assert version_answer(CHECK, None).gone and CHECK.needs_yes


versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|b|rc|\.post|\.dev)[0-9]{1,2})?", fullmatch=True)


@settings(max_examples=50)
@given(versions, versions)
def test_versions_are_compared_as_versions(pinned: str, wanted: str) -> None:
    check = VersionAtLeast(path="requirements.txt", package="paper-clips", version=wanted)
    closed = version_answer(check, f"paper-clips=={pinned}".encode()).closed
    assert closed == (Version(pinned) >= Version(wanted))
    assert parse_version(f"{pinned}+cpu.1") == Version(pinned)


words = st.text(st.sampled_from("ab1.=<>~!^*;,[]{}\"'# -@\n\\"), max_size=60)


def rows(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    names = st.sampled_from(["default", "develop", "version", "a", "package"])
    return st.dictionaries(names, values, max_size=3)


nested = st.recursive(st.none() | st.integers() | words, lambda s: st.lists(s, max_size=3) | rows(s), max_leaves=8)


@given(st.sampled_from(["requirements.txt", "pyproject.toml", "uv.lock", "Pipfile.lock"]), words, nested)
def test_whatever_stands_there_is_read_or_refused(path: str, text: str, told: object) -> None:
    lines = f"[project]\ndependencies = {json.dumps([text])}\n[tool.poetry.dependencies]\na = {json.dumps(text)}\n"
    for data in (text, json.dumps(told), lines, f'[[package]]\nname = "a"\nversion = {json.dumps(text)}\n'):
        try:
            found = pins(path, data.encode())
        except UnreadablePins:
            continue
        assert all(pin.package == pin.package.lower() for pin in found)
        check = VersionAtLeast(path=path, package="a", version="1.0")
        assert version_answer(check, data.encode()).reason
