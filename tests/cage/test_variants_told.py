"""Variants of what a model is told: orders in other surroundings, and what servers list, put elsewhere. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.irongate.tool.g18_injection import rule_of
from tests.cage.corpus import Input
from tests.cage.test_variants import inputs
from tools.mcp.list_filter import split_malformed
from tools.mcp.offers import ListedTool, sort_out
from tools.mcp.settings import McpSettings, ServerSettings

Change = Callable[[str], str]


def each_line(lead: str) -> Change:
    return lambda text: "".join(f"{lead.format(n=n)}{line}\n" for n, line in enumerate(text.split("\n"), 7))


ORDERS = [one.text.replace("{port}", "80").replace("{state}", "/srv").replace("{name}", "x") for one in inputs("order")]
UNSEEN = {text for text in ORDERS if any(ord(char) >= 0xE0000 for char in text)}
"""Nothing is hidden any more where a program's escapes spell them out."""
ESCAPED: dict[str, Change] = {
    "as JSON": lambda text: json.dumps({"note": text, "more": 1}, ensure_ascii=False),
    "as JSON of ASCII": lambda text: json.dumps({"note": text, "more": 1}),
    "as a literal": lambda text: f"x = {text!r}\n",
}
SURROUNDINGS: dict[str, Change] = {
    "alone": lambda text: text,
    "in a comment": each_line("# "),
    "in a comment of C": lambda text: f"/*\n{each_line(' * ')(text)} */",
    "in a docstring": lambda text: f'def f():\n    """{text}\n    """\n',
    "as read_file shows it": each_line("{n}| "),
    "as search_code shows it": each_line("a/b.py:{n}: "),
    "as git_diff shows it, added": each_line("+"),
    "as git_diff shows it, taken away": each_line("-"),
    "in a quotation": each_line("> "),
    "in HTML": lambda text: f"<!-- {text} -->",
    "in a log": lambda text: f"2026-01-01 12:00:00,000 ERROR [main] {text}",
    "in a failure": lambda text: f"E   AssertionError: {text}\nE   assert 1 == 2",
    "with ends of lines from elsewhere": lambda text: text.replace("\n", "\r\n"),
    "with wide blanks": lambda text: text.replace(" ", "  "),
    "with tabs": lambda text: "\t\t" + text.replace("\n", "\n\t\t"),
    "as an item": lambda text: f"- [ ] {text}",
    "emphasised": lambda text: f"**{text}**",
    "among much else": lambda text: "x = 1\n" * 300 + text + "\ny = 2\n" * 300,
    **ESCAPED,
}  # fmt: skip


@settings(max_examples=100)
@given(st.sampled_from(ORDERS), st.sampled_from(sorted(SURROUNDINGS)))
def test_an_order_is_marked_in_other_surroundings(text: str, surroundings: str) -> None:
    if not (text in UNSEEN and surroundings in ESCAPED):
        assert rule_of(SURROUNDINGS[surroundings](text)), (surroundings, text)


# --- what servers list ------------------------------------------------------------------------------------------------

PLAIN = {"type": "object"}
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "description": lambda text: {"description": f"Adds two numbers. {text}"},
    "argument": lambda text: {"inputSchema": {**PLAIN, "properties": {"a": {"description": text}}}},
    "argument of an argument": lambda text: {
        "inputSchema": {**PLAIN, "properties": {"a": {**PLAIN, "properties": {"b": {"description": text}}}}}
    },
    "definition": lambda text: {"inputSchema": {**PLAIN, "$defs": {"D": {"description": text}}}},
    "one of several": lambda text: {"inputSchema": {**PLAIN, "properties": {"a": {"anyOf": [{"description": text}]}}}},
    "value": lambda text: {"inputSchema": {**PLAIN, "properties": {"a": {"enum": ["b", text]}}}},
    "constant": lambda text: {"inputSchema": {**PLAIN, "properties": {"a": {"const": text}}}},
    "name of an argument": lambda text: {"inputSchema": {**PLAIN, "properties": {text: {"type": "string"}}}},
    "needed name": lambda text: {"inputSchema": {**PLAIN, "required": [text]}},
    "name": lambda text: {"name": text},
    "title": lambda text: {"title": text, "inputSchema": {**PLAIN, "title": text, "default": text}},
}
SERVER = ServerSettings.model_validate({"command": "x", "tools": ["*"]})


def listed(*tools: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """All that a model is told of a server's tools, and by which rule or reason something is kept back."""
    good, bad = split_malformed([{"name": "adds", "inputSchema": PLAIN, **tool} for tool in tools])
    found = [ListedTool(tool=g["name"], description=g.get("description", ""), schema=g["inputSchema"]) for g in good]
    offers = sort_out("s", [*found, *bad], SERVER, McpSettings(), screen=rule_of)
    told = [f"{o.name}\n{o.description}\n{json.dumps(o.parameters)}" for o in offers.offered.values()]
    return "\n".join(told), dict((*offers.withheld, *offers.left_out))


@settings(max_examples=80)
@given(st.sampled_from([text for text in ORDERS if text not in UNSEEN]), st.sampled_from(sorted(PLACES)))
def test_an_order_anywhere_in_what_a_server_lists_is_told_to_nobody(text: str, place: str) -> None:
    told, kept_back = listed(PLACES[place](text))
    assert rule_of(told) == "", (place, told)
    if place != "title":  # which is left out, whatever it says
        assert any("gate18." in why for why in kept_back.values()), (place, told)


DEEPER: dict[str, Callable[[Any], Any]] = {
    "an argument": lambda schema: {**PLAIN, "properties": {"a": schema}},
    "items": lambda schema: {"type": "array", "items": schema},
    "one of several": lambda schema: {"anyOf": [{"type": "string"}, schema]},
    "not": lambda schema: {"not": schema},
    "any other": lambda schema: {**PLAIN, "additionalProperties": schema},
    "a definition": lambda schema: {**PLAIN, "$defs": {"D": schema}},
    "a condition": lambda schema: {"if": {"type": "string"}, "then": schema},
}
BROKEN = {"a schema from elsewhere", "a schema without end", "a schema that is none"}


def schema_of(one: Input) -> Any:
    nested = '{"a":' * 100 + "1" + "}" * 100
    return json.loads(one.tools.replace("{nested:100}", nested))[0]["inputSchema"]


@settings(max_examples=50)
@given(
    st.sampled_from([one for one in inputs("mcp") if one.name in BROKEN]),
    st.lists(st.sampled_from(sorted(DEEPER)), max_size=6),
)
def test_a_broken_schema_is_left_out_however_deep_the_fault_lies(one: Input, way: list[str]) -> None:
    schema = schema_of(one)
    for step in way:
        schema = DEEPER[step](schema)
    told, kept_back = listed({"inputSchema": {**PLAIN, "properties": {"x": schema}}})
    assert told == "" and set(kept_back) == {"adds"}, (one.name, way)


def test_the_inputs_that_are_varied_are_there() -> None:
    assert {one.name for one in inputs("mcp")} >= BROKEN
    assert len(ORDERS) >= 30 and len(UNSEEN) == 1
