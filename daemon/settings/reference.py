"""Generates ``docs/settings.md`` from the settings models; a test fails if the file is out of date."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from daemon.settings.config import Settings
from daemon.settings.layers import fields
from daemon.settings.tighten import RULES, Direction

_HEAD = """# Settings

Written by `python -m daemon.settings.reference`; a test fails when it is out of date.

Layers, each over the one before: the defaults below, `$XDG_CONFIG_HOME/ouroboros/config.toml`, `<repo-id>.toml` beside
it, then environment variables (`[control]` `backlog` is `OURO_CONTROL__BACKLOG`; lists as in TOML). The repository's
own `.ouro/config.toml` may only tighten: where a row says how, and nowhere else. An unknown name is an error. Secrets
never stand in a file: they are read from the environment variable that a setting names. A default of `none` is not set:
leave the line out.
"""
_WORDS = {
    Direction.LOWER: "lower",
    Direction.HIGHER: "higher",
    Direction.ON: "true",
    Direction.OFF: "false",
    Direction.GROW: "more",
}


def reference() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *_sections(Settings)])


def names_without_description() -> tuple[str, ...]:
    """Dotted names of settings without a description."""
    return tuple(dotted for dotted, info in _documented_fields(Settings) if not info.description)


def type_name(annotation: object) -> str:
    """The name of a type in terms of TOML."""
    if typing.get_origin(annotation) is typing.Annotated:
        return type_name(typing.get_args(annotation)[0])
    if annotation is type(None):
        return "none"
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(f'"{choice}"' for choice in typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(type_name(part) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) in (tuple, list, frozenset):
        inner = [part for part in typing.get_args(annotation) if part is not ...]
        return f"list of {type_name(inner[0])}"
    if typing.get_origin(annotation) is dict:
        return (
            "tables, see below" if _table_model(annotation) else f"table of {type_name(typing.get_args(annotation)[1])}"
        )
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f'"{member.value}"' for member in annotation)
    names: dict[object, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def toml_value(value: object) -> str:
    """A default as it would be written in TOML."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, enum.Enum):
        return toml_value(value.value)
    if isinstance(value, tuple | list | frozenset):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    if isinstance(value, BaseModel):
        return toml_value(value.model_dump())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(part)}" for key, part in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def _sections(model: type[BaseModel]) -> Iterator[str]:
    section = ""
    for dotted, info in _documented_fields(model):
        if dotted.rpartition(".")[0] != section:
            section = dotted.rpartition(".")[0]
            yield f"\n## [{section}]\n"
            yield "| name | type | default | repository may make it | what |"
            yield "|---|---|---|---|---|"
        yield _row(dotted, info)


def _documented_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting with its dotted name; after each section those of its tables, which the owner names."""
    tables: list[tuple[str, type[BaseModel]]] = []
    for dotted, info in fields(model, prefix):
        if tables and dotted.rpartition(".")[0] != tables[0][0].rsplit(".", 2)[0]:
            yield from _fields_of_tables(tables)
            tables = []
        yield dotted, info
        inner = _table_model(info.annotation)
        if inner is not None:
            tables.append((f"{dotted}.NAME", inner))
    yield from _fields_of_tables(tables)


def _fields_of_tables(tables: list[tuple[str, type[BaseModel]]]) -> Iterator[tuple[str, FieldInfo]]:
    for name, inner in tables:
        yield from _documented_fields(inner, f"{name}.")


def _table_model(annotation: object) -> type[BaseModel] | None:
    """The settings model of a table's values, or None for other fields."""
    inner = typing.get_args(annotation)[1] if typing.get_origin(annotation) is dict else None
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _row(dotted: str, info: FieldInfo) -> str:
    rule = RULES.get(dotted)
    may_become = "" if rule is None else " → ".join(rule.order) or _WORDS[rule.direction]
    default = toml_value(info.get_default(call_default_factory=True, validated_data={}))
    cells = (
        f"`{dotted.rpartition('.')[2]}`",
        type_name(info.annotation),
        "to be given" if info.is_required() else f"`{default}`",
        may_become,
        info.description or "",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    page = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
    page.write_text(reference() + "\n", encoding="utf-8")
