"""The argument schema of a server's tool: validated, limited in size, without what a model does not need. Pure.

It is untrusted and goes to a model's provider: an external reference or an invalid schema could make a provider refuse
every tool. Patterns are never run here, because a hostile one may not terminate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ledger.errors import ToolError
from tools.mcp.names import visible

DEEPEST = 24
LONGEST_NOTE = 300
_DROPPED = frozenset({"$schema", "$id", "$comment", "title", "examples", "default"})  # for human readers, not needed
_NAMES_TO_SCHEMAS = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_KEPT_AS_IS = frozenset({"enum", "const", "required", "dependentRequired"})


def argument_schema(raw: object, *, limit: int) -> dict[str, Any]:
    """``raw`` as a model may see it, at most ``limit`` bytes of JSON. :func:`check_form` checks that it is a schema.

    Raises ``ToolError`` with what is wrong with it.
    """
    if not isinstance(raw, dict) or raw.get("type") != "object":
        raise ToolError("its schema is not that of an object")
    schema = _schema(raw, 0)
    schema.setdefault("properties", {})
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # a number or a character that JSON does not have
        raise ToolError("its schema is not valid JSON") from error
    if len(text) > limit:
        raise ToolError(f"its schema is larger than {limit} bytes")
    return schema


def _schema(raw: dict[str, Any], depth: int) -> dict[str, Any]:
    """A copy of one schema without ``_DROPPED`` keywords, recursively; property names are never dropped."""
    if depth > DEEPEST:
        raise ToolError(f"its schema is deeper than {DEEPEST} levels")
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if key in _DROPPED:
            continue
        if key == "description":
            found[key] = visible(str(value), LONGEST_NOTE)
        elif key in ("$ref", "$dynamicRef"):
            found[key] = _inside(value)
        elif key in _NAMES_TO_SCHEMAS and isinstance(value, dict):
            found[key] = {name: _value(one, depth + 1) for name, one in value.items()}
        else:
            found[key] = value if key in _KEPT_AS_IS else _value(value, depth + 1)
    return found


def _value(raw: object, depth: int) -> Any:
    if isinstance(raw, dict):
        return _schema(raw, depth)
    if isinstance(raw, list):
        if depth > DEEPEST:
            raise ToolError(f"its schema is deeper than {DEEPEST} levels")
        return [_value(one, depth + 1) for one in raw]
    return raw


def _inside(reference: object) -> str:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise ToolError("its schema refers to something outside of itself")
    return reference


def notes_in(schema: object) -> Iterator[str]:
    """Every description in a schema, outermost first."""
    if isinstance(schema, dict):
        if isinstance(schema.get("description"), str):
            yield schema["description"]
        for value in schema.values():
            yield from notes_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from notes_in(value)


def without_notes(schema: Any, *, names: bool = False) -> Any:
    """``schema`` without its descriptions. ``names``: its keys are argument names, no keywords."""
    if isinstance(schema, dict):
        return {
            key: value if key in _KEPT_AS_IS else without_notes(value, names=not names and key in _NAMES_TO_SCHEMAS)
            for key, value in schema.items()
            if names or key != "description"
        }
    return [without_notes(value) for value in schema] if isinstance(schema, list) else schema


def check_form(schema: dict[str, Any]) -> None:
    """By the rules of JSON Schema itself. The library comes with the SDK, and takes some milliseconds for each schema
    in it: who calls bounds how much there is. Raises ``ToolError``.
    """
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema, format_checker=None)  # a pattern may take seconds to compile
    except SchemaError as error:
        raise ToolError(f"its schema is not valid: {visible(error.message, 200)}") from error
    except RecursionError as error:
        raise ToolError("its schema is too deep") from error
