"""Layers of settings: files and environment variables become one nested table that knows where each value came from.

Pure but for reading the files. An unknown name is an error that gives the nearest known one.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ledger.errors import ConfigError
from ledger.parsers import UnreadableText
from ledger.parsers.toml import read_toml
from ledger.paths import open_regular

Table = dict[str, Any]
FILE_LIMIT_BYTES = 256 * 1024
ENV_PREFIX = "OURO_"
SHOWN_CHARS = 100  # of a name that is no setting


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a settings tree as (dotted name, pydantic FieldInfo)."""
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info


def read_file(path: Path, model: type[BaseModel], *, follow: bool = True) -> Table:
    """The table of one TOML file ({} when there is none), with every name known to ``model``.

    ``follow`` False refuses a symbolic link in the file's place.
    """
    text = _text(path, follow)
    if text is None:
        return {}
    try:
        table = read_toml(text)
    except UnreadableText as error:
        said = str(error).removeprefix("it ")
        raise ConfigError(f"{path} {said}.", remedy="Mend the line that is named.") from error
    for dotted in _unknown(table, model):
        raise ConfigError(
            f"{path}{_line_of(text, dotted)}: there is no setting {dotted[:SHOWN_CHARS]!r}.",
            remedy=_nearest(dotted, model),
        )
    return table


def read_environment(environ: Mapping[str, str], model: type[BaseModel]) -> Table:
    """``OURO_SECTION__FIELD`` variables as a table. Lists and tables are written as in TOML."""
    known = {env_name(dotted): dotted for dotted, _ in fields(model)}
    table: Table = {}
    for name in sorted(n for n in environ if n.startswith(ENV_PREFIX)):
        if name not in known:
            close = difflib.get_close_matches(name[:SHOWN_CHARS], known, n=1, cutoff=0.4)
            remedy = f"The nearest is {close[0]}." if close else "docs/settings.md lists all."
            raise ConfigError(f"The environment variable {name[:SHOWN_CHARS]} is no setting.", remedy=remedy)
        put(table, known[name], _value(name, environ[name]))
    return table


def env_name(dotted: str) -> str:
    """``sandbox.cpu_s`` is ``OURO_SANDBOX__CPU_S``."""
    return ENV_PREFIX + dotted.upper().replace(".", "__")


def leaves(table: Mapping[str, Any], model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that ``table`` sets, as (dotted name, value)."""
    for name, value in table.items():
        inner = model.model_fields[name].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(value, inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def put(table: Table, dotted: str, value: object) -> None:
    """Set one value in a nested table."""
    *sections, last = dotted.split(".")
    for section in sections:
        table = table.setdefault(section, {})
    table[last] = value


def get(model: BaseModel, dotted: str) -> object:
    """One value of a settings object."""
    value: object = model
    for name in dotted.split("."):
        value = getattr(value, name)
    return value


def _text(path: Path, follow: bool) -> str | None:
    """A regular file of a sane size, UTF-8; None when there is none."""
    try:
        descriptor = open_regular(path, os.O_RDONLY, follow=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.",
            remedy="Put a file there that you can read, or remove it.",
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(FILE_LIMIT_BYTES + 1)
    if len(data) > FILE_LIMIT_BYTES:
        raise ConfigError(f"{path} is larger than {FILE_LIMIT_BYTES} bytes.", remedy="Settings are small: shorten it.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8.", remedy="Save it as UTF-8.") from error


def _unknown(table: Mapping[str, Any], model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        info = model.model_fields.get(name)
        if info is None:
            yield f"{prefix}{name}"
            continue
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if isinstance(value, dict):
                yield from _unknown(value, inner, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}"  # a value where a section belongs


def _nearest(dotted: str, model: type[BaseModel]) -> str:
    names = [name for name, _ in fields(model)]
    sections = {name.rsplit(".", 1)[0] for name in names}
    close = difflib.get_close_matches(dotted[:SHOWN_CHARS], [*names, *sections], n=1, cutoff=0.4)
    return f"The nearest is {close[0]!r}." if close else "docs/settings.md lists all."


def _line_of(text: str, dotted: str) -> str:
    """`` line N`` of where ``dotted`` is probably written; empty when it is unknown."""
    last, whole = re.escape(dotted.rsplit(".", 1)[-1]), re.escape(dotted)
    pattern = re.compile(rf"^\s*(?:\[?{whole}\s*[].=]|(?:[\w.]+\.)?[\"']?{last}[\"']?\s*=)")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return f" line {number}"
    return ""


def _value(name: str, raw: str) -> object:
    """Lists and inline tables are parsed as TOML; everything else stays text, which the model converts."""
    if raw[:1] not in "[{" or not raw:
        return raw
    try:
        return read_toml(f"value = {raw}", most_chars=FILE_LIMIT_BYTES)["value"]
    except UnreadableText as error:
        raise ConfigError(
            f"The environment variable {name} does not hold a valid value: {error}.",
            remedy='Write lists as in TOML: ["a", "b"].',
        ) from error
