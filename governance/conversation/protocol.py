"""Tool calls in plain text, for providers without native calls: one fixed form, parsed strictly. Pure.

A turn has calls or an answer, never both. When a turn does not parse completely, none of its calls is run, and the
reply is one sentence with the error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kernel.provider import ToolCall, ToolSchema
from ledger.parsers import UnreadableText
from ledger.parsers.json import read_json

OPEN, CLOSE = "```call", "```"
FORM = f"""To call tools, write one JSON object for each call, in a block of exactly this form,
and nothing behind the last:

{OPEN}
{{"tool": "read_file", "arguments": {{"path": "src/a.py"}}}}
{CLOSE}

The results come with the next message; never write them yourself. A turn holds calls or the answer, never both.
The tools:"""
NEAR_MISS = re.compile(
    r"<tool_call>|<function[_=]|\"(?:tool|name|function)\"\s*:\s*\"\w+\"\s*,\s*\"(?:arguments|parameters)\""
)
EDIT_OPENS = re.compile(r"^<{5,9} ?SEARCH>?\s*$")
EDIT_CLOSES = re.compile(r"^>{5,9} ?REPLACE<?\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedTurn:
    """A parsed turn: ``prose`` outside the blocks, and the calls, or the ``fault`` for which none is run."""

    prose: str
    calls: tuple[ToolCall, ...] = ()
    fault: str = ""


def describe_tools(tools: Sequence[ToolSchema]) -> str:
    """The call form and all tools, for the system prompt."""
    return "\n".join([FORM, *(f"- {t.name}: {t.description} Arguments: {_arguments(t.parameters)}" for t in tools)])


def _arguments(schema: dict[str, Any]) -> str:
    needed = schema.get("required", ())
    described = {
        name + ("" if name in needed else "?"): str(info.get("description") or info.get("type") or "any")
        for name, info in schema.get("properties", {}).items()
    }
    return json.dumps(described, ensure_ascii=False)


def block(name: str, arguments: str) -> str:
    """One call in its text form."""
    return f'{OPEN}\n{{"tool": {json.dumps(name)}, "arguments": {arguments}}}\n{CLOSE}'


def read_turn(text: str, *, prefix: str) -> ParsedTurn:
    """Parse a turn. ``prefix`` makes the ids of its calls unique in the conversation."""
    bodies, prose, answers, fault = _blocks(text.replace("\r\n", "\n").split("\n"))
    said = "\n".join(prose).strip()
    if fault:
        return ParsedTurn(prose=said, fault=fault)
    if not bodies:
        missed = not answers and NEAR_MISS.search(text)
        why = f"A call stands in a block of its own that opens with a line {OPEN} and closes with a line {CLOSE}."
        return ParsedTurn(prose=text, fault=why if missed else "")
    if answers:
        return ParsedTurn(
            prose=said, fault="A turn holds calls or edits, not both: send the calls alone, then the answer."
        )
    calls = []
    for number, body in enumerate(bodies, 1):
        made = _call(body, id=f"{prefix}{number}")
        if isinstance(made, str):
            return ParsedTurn(prose=said, fault=f"Call block {number} of {len(bodies)} {made} None of them was run.")
        calls.append(made)
    return ParsedTurn(prose=said, calls=tuple(calls))


def _blocks(lines: Sequence[str]) -> tuple[list[str], list[str], bool, str]:
    """Bodies of call blocks, the other lines, whether those contain edits, and the error for an unclosed block."""
    bodies: list[str] = []
    prose: list[str] = []
    answers = inside = False  # inside an edit, whose text may look like a call
    at = 0
    while at < len(lines):
        line = lines[at]
        if not inside and line.strip() == OPEN:
            end = next((i for i in range(at + 1, len(lines)) if lines[i].strip() == CLOSE), None)
            if end is None:
                return bodies, prose, answers, f"The block that opens on line {at + 1} has no closing {CLOSE} line."
            bodies.append("\n".join(lines[at + 1 : end]))
            at = end + 1
            continue
        inside = bool(EDIT_OPENS.match(line)) or (inside and not EDIT_CLOSES.match(line))
        answers = answers or inside
        prose.append(line)
        at += 1
    return bodies, prose, answers, ""


def _call(body: str, *, id: str) -> ToolCall | str:
    """A call, or the end of a sentence that describes the error in its block."""
    try:
        said = read_json(body, pairs=_once)
    except UnreadableText as error:
        return f"is not one JSON object: {error}."
    if not isinstance(said, dict) or set(said) != {"tool", "arguments"}:
        return 'must be an object with exactly the keys "tool" and "arguments".'
    name, arguments = said["tool"], said["arguments"]
    if not isinstance(name, str) or not name:
        return 'needs the name of a tool as "tool".'
    if not isinstance(arguments, dict):
        return 'needs an object as "arguments".'
    return ToolCall(id=id, name=name, arguments=json.dumps(arguments, ensure_ascii=False))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found
