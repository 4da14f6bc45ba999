"""What contracts say, and where they differ."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sensors.drift.contracts import MOST_DIFFERENCES, UnreadableContract, differences, parse_contract, resolve_pointer

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=15
)


def shuffled(value: Any, r: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        r.shuffle(names)
        return {name: shuffled(value[name], r) for name in names}
    return [shuffled(each, r) for each in value] if isinstance(value, list) else value


def places(value: Any, pointer: str = "") -> list[str]:
    """Pointers to everything in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [pointer]
    for name, each in inner:
        token = str(name).replace("~", "~0").replace("/", "~1")
        found += places(each, f"{pointer}/{token}")
    return found


@given(values, st.integers(0, 9), st.sampled_from([None, 1, 4]))
def test_how_it_is_written_does_not_matter(value: Any, seed: int, indent: int | None) -> None:
    one = parse_contract(json.dumps(value).encode(), "a.json")
    other = json.dumps(shuffled(value, random.Random(seed)), indent=indent, ensure_ascii=False)
    assert one == parse_contract(f"\ufeff{other}\n".encode(), "deep/b.JSON") and differences(one, one) == ()


@given(values, values)
def test_two_that_differ_say_where(value: Any, other: Any) -> None:
    one, two = (
        parse_contract(json.dumps(value).encode(), "a.json"),
        parse_contract(json.dumps(other).encode(), "a.json"),
    )
    same = json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (one == two) == (differences(one, two) == ()) == same
    assert len(differences(one, two)) <= MOST_DIFFERENCES + 1


@given(values, st.data())
def test_a_change_at_any_place_is_found_there_and_nowhere_else(value: Any, data: st.DataObject) -> None:
    pointer = data.draw(st.sampled_from(places(value)))
    assume(pointer)
    changed = copy.deepcopy(value)
    *above, last = pointer.split("/")
    holder = resolve_pointer(changed, "/".join(above), "x")
    key: Any = int(last) if isinstance(holder, list) else last.replace("~1", "/").replace("~0", "~")
    holder[key] = "something else entirely"
    one, two = (
        parse_contract(json.dumps(value).encode(), "a.json"),
        parse_contract(json.dumps(changed).encode(), "a.json"),
    )
    (line,) = differences(one, two)
    assert line.startswith(f"{pointer}: here ")
    assert resolve_pointer(json.loads(json.dumps(value)), pointer, "x") != "something else entirely"
    try:
        part = parse_contract(json.dumps(changed).encode(), "a.json", pointer)
    except UnreadableContract:
        pytest.fail(f"{pointer} is there")
    assert part.value == "something else entirely"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("a.toml", b"[x]\ny = 1\nz = [1, 2]\n"), ("b.json", b'{"x": {"z": [1, 2.0], "y": 1}}')),
        (("a.yaml", b"x:\n  y: 1\n  z: [1, 2]\n"), ("b.json", b'{"x": {"z": [1, 2], "y": 1}}')),
        (("a.proto", b"syntax;  \r\nmessage A {}\r\n"), ("b.proto", b"\nsyntax;\nmessage A {}\n\n\n")),
        (("a.bin", b"\xff\x00"), ("b.bin", b"\xff\x00")),
    ],
)
def test_the_same_in_other_forms(one: tuple[str, bytes], two: tuple[str, bytes]) -> None:
    if one[0].endswith(".yaml"):
        pytest.importorskip("yaml")
    assert parse_contract(one[1], one[0]) == parse_contract(two[1], two[0])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (b"1", b"true"), (b"0", b"false"), (b"1", b'"1"'), (b"null", b'""'), (b"[1, 2]", b"[2, 1]"), (b"{}", b"[]"),
        (b'{"a": null}', b"{}"), (b"0.1", b"0.2"),
    ],
)  # fmt: skip
def test_what_is_nearly_the_same_is_not(one: bytes, two: bytes) -> None:
    assert differences(parse_contract(one, "a.json"), parse_contract(two, "a.json"))


def test_toml_says_dates() -> None:
    one, two = parse_contract(b"at = 2026-01-05\n", "a.toml"), parse_contract(b'at = "2026-01-05"\n', "a.toml")
    assert differences(one, two)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("data", "path", "part", "why"),
    [
        (b"{", "a.json", "", "cannot be read"),
        (b'{"a": 1, "a": 2}', "a.json", "", "twice"),
        (b"[" * 100_000 + b"]" * 100_000, "a.json", "", "cannot be read"),
        (b"[" * 200 + b"]" * 200, "a.json", "", "nested deeper"),
        (b"a." * 100_000 + b"a = 1", "a.toml", "", "dotted parts"),
        (b"a: 1" + b":1" * 100_000, "a.yaml", "", "digits"),
        (b"a: !!int ''", "a.yaml", "", "not valid YAML"),
        (b"a = ", "a.toml", "", "cannot be read"),
        (b"\xff", "a.json", "", "UTF-8"),
        (b"x", "a.proto", "/x", "no part"),
        (b'{"a": [1]}', "a.json", "/b", "has no /b"),
        (b'{"a": [1]}', "a.json", "/a/1", "has no /a/1"),
        (b'{"a": [1]}', "a.json", "/a/00", "has no /a/00"),
        (b'{"a": [1]}', "a.json", "a", "no JSON pointer"),
        (b'{"a": [1]}', "a.json", "/~2", "no JSON pointer"),
        (BOMB.encode(), "a.yaml", "", "too much"),
        (b"a: &a [*a]\n", "a.yaml", "", "too much"),
        (b"a: !!python/object/apply:os.system ['true']\n", "a.yaml", "", "cannot be read"),
        (b"a: [\n", "a.yml", "", "cannot be read"),
    ],
)
def test_what_cannot_be_compared(data: bytes, path: str, part: str, why: str) -> None:
    if path.endswith((".yaml", ".yml")):
        pytest.importorskip("yaml")
    with pytest.raises(UnreadableContract, match=why):
        parse_contract(data, path, part)


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.toml", "a.yaml", "a.proto"]))
def test_whatever_lies_there_is_read_or_refused(data: bytes, path: str) -> None:
    try:
        found = parse_contract(data, path)
    except UnreadableContract:
        return
    assert found == parse_contract(data, path) and found.readable
