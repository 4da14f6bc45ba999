"""The pure parts: names, schemas, lines, waits, settings."""

from __future__ import annotations

import json
from typing import Any
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.errors import ToolError
from tests.tools.mcp.conftest import screen
from tools.mcp.names import LONGEST, server_of, tool_name, visible
from tools.mcp.offers import ListedTool, sort_out
from tools.mcp.schemas import argument_schema, check_form
from tools.mcp.secrets import scrub
from tools.mcp.server import delay_s
from tools.mcp.settings import McpSettings, ServerSettings
from tools.mcp.stdio import LineSplitter
from tools.mcp.tool import McpTool

SERVERS = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,4}){0,3}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["type", "properties", "$ref", "items"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(SERVERS, st.text(max_size=100))
def test_every_name_is_one_that_a_provider_takes_and_names_its_server(server: str, tool: str) -> None:
    name = tool_name(server, tool)
    assert len(name) <= LONGEST and name.replace("_", "").replace("-", "").isalnum() and name.isascii()
    assert server_of(name) == server


@pytest.mark.parametrize("name", ["read_file", "mcp_", "mcp_git", "mcp", "", "_mcp_x_y", "xmcp_a_b"])
def test_other_names_name_no_server(name: str) -> None:
    assert not server_of(name)


@given(st.text(max_size=300), st.integers(3, 50))
def test_text_that_cannot_be_seen_is_gone(text: str, limit: int) -> None:
    out = visible(text, limit)
    assert len(out) <= limit and not any(category(c)[0] == "C" for c in out if c not in "\n\t")
    assert not set(visible(f"a{text}\u202e\u200b\x1b\x00\ufeff", 1000)) & set("\u202e\u200b\x1b\x00\ufeff")


@example(b"\n" + bytes(6), [], 5)
@given(st.binary(max_size=400), st.lists(st.integers(1, 30), max_size=30), st.integers(5, 50))
def test_lines_do_not_depend_on_how_they_come(data: bytes, cuts: list[int], limit: int) -> None:
    lines, got, at = LineSplitter(limit), [], 0
    for size in (*cuts, len(data)):
        lines.add(data[at : at + size])
        at += size
        while (line := lines.take()) is not None:
            got.append(line)
    whole = data.split(b"\n")
    fitting = next((i for i, line in enumerate(whole) if len(line) > limit), len(whole) - 1)
    assert got == whole[:fitting]
    assert bool(lines.flaw) == any(len(line) > limit for line in whole)


def test_lines_say_when_enough_wait_and_keep_nothing_of_a_long_one() -> None:
    lines = LineSplitter(1_000_000)
    lines.add(b"x" * 300_000)
    assert not lines.full  # one message that has not ended has to be read on
    lines.add(b"\n")
    assert lines.full and lines.take() == b"x" * 300_000 and not lines.full
    for _ in range(20):
        lines.add(b"y" * 100_000)
    assert "more than 1000000" in lines.flaw and lines.take() is None and not lines._data


@given(st.integers(1, 200), st.floats(0, 0.999))
def test_waits_grow_and_are_bounded(failures: int, draw: float) -> None:
    now, later = (delay_s(n, first_s=1, most_s=120, draw=draw) for n in (failures, failures + 1))
    assert 0.5 <= now <= later <= 120
    assert delay_s(failures, first_s=1, most_s=120, draw=0) == min(120, 2.0 ** (failures - 1))


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=4))
def test_a_schema_is_refused_or_one_that_can_be_sent(raw: dict[str, Any]) -> None:
    try:
        schema = argument_schema({"type": "object", **raw}, limit=4096)
    except ToolError:
        return
    assert schema["type"] == "object" and len(json.dumps(schema, allow_nan=False)) <= 4096 * 6
    assert argument_schema(schema, limit=4096) == schema


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"type": "array"}, "not that of an object"),
        ([], "not that of an object"),
        ({"type": "object", "required": 7}, "not valid"),
        ({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}, "outside"),
        ({"type": "object", "properties": {"a": {"anyOf": [{"$ref": "x"}]}}}, "outside"),
        ({"type": "object", "properties": {"a": {"enum": [float("nan")]}}}, "not valid JSON"),
        ({"type": "object", "properties": {"a": {"const": "\ud800"}}}, "not valid JSON"),
    ],
)
def test_schemas_that_are_refused(raw: object, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        check_form(argument_schema(raw, limit=10_000))


def test_a_schema_loses_what_nobody_needs_and_keeps_its_property_names() -> None:
    raw = {
        "$schema": "x", "title": "T", "type": "object", "$defs": {"d": {"type": "integer", "title": "D"}},
        "properties": {
            "title": {"type": "string", "title": "t", "description": "say\u202e it " + "x" * 400},
            "default": {"$ref": "#/$defs/d", "default": 1}, "description": {"type": "string"},
        },
    }  # fmt: skip
    found = argument_schema(raw, limit=10_000)
    assert set(found) == {"type", "$defs", "properties"} and found["$defs"] == {"d": {"type": "integer"}}
    assert set(found["properties"]) == {"title", "default", "description"}
    assert found["properties"]["default"] == {"$ref": "#/$defs/d"}
    assert (
        found["properties"]["title"]["description"].startswith("say it x")
        and "title" not in found["properties"]["title"]
    )


def test_only_what_is_listed_is_offered_and_all_of_it_is_bounded_together() -> None:
    found = [ListedTool(tool=f"t{n}", description="d" * 700, schema={"type": "object"}) for n in range(10)]
    settings = ServerSettings(command="c", tools=("t1", "t2", "t3", "gone"), read_only=("t2",))
    offers = sort_out("x", found, settings, McpSettings(offer_bytes=1700), screen=screen)
    assert [o.writes for o in offers.offered.values()] == [True, False]
    assert dict(offers.left_out).keys() == {"t3", "gone"} and "together" in dict(offers.left_out)["t3"]
    assert "mcp_x_t9" in offers.unlisted and "mcp_x_t3" not in offers.unlisted
    other = sort_out("x", found[:2], settings, McpSettings(), screen=screen)
    assert (
        other.digest
        != offers.digest
        == sort_out("x", found, settings, McpSettings(offer_bytes=1700), screen=screen).digest
    )


def test_a_look_takes_a_bounded_time_whatever_is_told() -> None:
    """Checking takes milliseconds a schema, so what is checked is bounded; a pattern would take seconds to compile."""
    looked: list[str] = []

    def heard(text: str) -> str:
        looked.append(text)
        return "gate18.override"

    many = {"type": "object", "properties": {f"{n}": {} for n in range(400)}}
    found = [ListedTool(tool=f"t{n}", description="", schema=many) for n in range(1000)]
    settings, bounds = ServerSettings(command="c", tools=("*",)), McpSettings()
    offers = sort_out("x", found, settings, bounds, screen=heard)
    assert not offers.offered and "together" in dict(offers.left_out)["t999"]
    assert len(looked) <= 2 * bounds.offer_bytes / len(json.dumps(many))
    endless = {"type": "object", "properties": {"a": {"pattern": "a{1" + "0" * 20 + "}"}}}  # no number that `re` takes
    found = [ListedTool(tool="p", description="", schema=endless)]
    assert "mcp_x_p" in sort_out("x", found, settings, bounds, screen=screen).offered


@pytest.mark.parametrize("text", ["", '{"a": 1.5, "b": {"c": [true, null]}}', '{"a": "ü"}'])
async def test_arguments_are_an_object_with_what_is_required(text: str) -> None:
    tool = await _tool()
    if "a" not in text:
        with pytest.raises(ToolError, match="'a' is missing"):
            tool.prepare(text)
        return
    prepared = tool.prepare(text)
    assert json.loads(prepared.arguments) == json.loads(text) == json.loads(await prepared.start(None))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["[]", "1", "{", '{"a": NaN}', "[" * 100_000, '{"a": "\\ud800"}', "{'a': 1}"])
async def test_other_arguments_are_told(text: str) -> None:
    with pytest.raises(ToolError, match="arguments of mcp_x_t"):
        (await _tool()).prepare(text)


async def _tool() -> McpTool:
    async def back(tool: str, arguments: dict[str, Any]) -> str:
        assert tool == "t"
        return json.dumps(arguments)

    schema = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    found = [ListedTool(tool="t", description="", schema=schema)]
    offers = sort_out("x", found, ServerSettings(command="c", tools=("*",)), McpSettings(), screen=screen)
    return McpTool(offer=offers.offered["mcp_x_t"], timeout_s=1, call=back)


def test_secrets_are_taken_out_longest_first() -> None:
    assert scrub("Bearer abcdefgh and abcdefgh", ["abcdefgh", "Bearer abcdefgh"]) == "[secret] and [secret]"
    assert scrub("a word", ["word"]) == "a word"  # too short to be told from a word


@pytest.mark.parametrize(
    ("name", "server", "why"),
    [
        ("x", {}, "either a command or a url"),
        ("x", {"command": "a", "url": "https://b"}, "either a command or a url"),
        ("x", {"url": "https://b", "args": ["a"]}, "does not go with url"),
        ("x", {"url": "https://b", "network": True}, "does not go with url"),
        ("x", {"command": "a", "headers": {"A": {"variable": "B"}}}, "does not go with command"),
        ("x", {"url": "http://example.org/mcp"}, "this machine only"),
        ("x", {"url": "https://me:pw@example.org"}, "use headers"),
        ("x", {"url": "ftp://example.org"}, "https://"),
        ("x", {"url": "https://b", "headers": {"A\nB": {"variable": "C"}}}, "name of a header"),
        ("x", {"url": "https://b", "headers": {"A": {}}}, "name one of the two"),
        ("x", {"command": "a", "cwd": "here"}, "absolute"),
        ("x", {"command": "a", "writable": ["/a/../b"]}, "absolute"),
        ("x", {"command": "a", "env": ["A=B"]}, "name of a variable"),
        ("x", {"command": "a", "commnd": "b"}, "Extra inputs"),
        ("a_b", {"command": "a"}, "no underscore"),
        ("A", {"command": "a"}, "small letters"),
        ("a" * 25, {"command": "a"}, "at most 24"),
    ],
)
def test_settings_that_are_refused(name: str, server: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        McpSettings.model_validate({"servers": {name: server}})


def test_a_place_tells_no_path_or_query() -> None:
    assert ServerSettings(url="https://example.org:8443/mcp?key=abc").place == "https://example.org:8443"
    assert ServerSettings(url="http://[::1]:80/mcp").place and ServerSettings(url="http://localhost/mcp").place
