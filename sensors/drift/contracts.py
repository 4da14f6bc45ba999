"""Parses and compares contract files. Pure.

JSON, TOML and YAML are compared by value, other files by line. YAML counts as text without a YAML library.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from difflib import unified_diff
from typing import Any

from ledger.ids import sha256_hex
from ledger.parsers.json import read_json
from ledger.parsers.toml import read_toml
from ledger.parsers.yaml import has_yaml, read_yaml
from ledger.vocabulary import Frozen

MOST_VALUES = 100_000  # a few lines of YAML with aliases can expand to more than fits in memory
DEEPEST = 100
MOST_DIFFERENCES = 40
SHOWN_CHARS = 200
MISSING = "(nothing)"
_TOKEN = re.compile(r"~(?![01])")


class UnreadableContract(ValueError):
    """A contract that cannot be compared, with the reason."""


class Contract(Frozen):
    """A parsed contract. ``text``: canonical form, equal for equivalent contracts; ``structured``: it is JSON."""

    structured: bool
    text: str

    @property
    def digest(self) -> str:
        return sha256_hex(f"{self.structured}\0{self.text}")

    @property
    def value(self) -> Any:
        return json.loads(self.text)

    @property
    def readable(self) -> str:
        """The content in a form that can be copied into another file."""
        return json.dumps(self.value, indent=2, ensure_ascii=False) if self.structured else self.text


def parse_contract(data: bytes, path: str, part: str = "") -> Contract:
    """The content of a file, or the part that a JSON pointer selects. Raises `UnreadableContract`."""
    load = _loader(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if load is None and not part:  # binary files can still be compared by hash
            return Contract(structured=False, text=f"sha256 {sha256_hex(data)}")
        raise UnreadableContract(f"{path} is not UTF-8") from error
    if load is None:
        if part:
            raise UnreadableContract(f"{path} is text: no part of it can be selected")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return Contract(structured=False, text="\n".join(line.rstrip() for line in lines).strip("\n") + "\n")
    try:
        value = _plain(load(text), [0], 0)
    except UnreadableContract as error:
        raise UnreadableContract(f"{path} {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UnreadableContract(f"{path} cannot be read: {_first_line(error)}") from error
    found = resolve_pointer(value, part, path)
    return Contract(structured=True, text=json.dumps(found, sort_keys=True, separators=(",", ":")))


def resolve_pointer(value: Any, pointer: str, path: str) -> Any:
    """The part of a value that a JSON pointer (RFC 6901) selects. Raises `UnreadableContract` when there is none."""
    if pointer and (not pointer.startswith("/") or _TOKEN.search(pointer)):
        raise UnreadableContract(f"{pointer!r} is no JSON pointer")
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and re.fullmatch(r"0|[1-9]\d{0,8}", name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise UnreadableContract(f"{path} has no {pointer}")
    return value


def differences(here: Contract, there: Contract) -> tuple[str, ...]:
    """A line for each place that differs, at most ``MOST_DIFFERENCES``; empty when the two are equivalent."""
    if here == there:
        return ()
    if here.structured and there.structured:
        lines = _find_differences(here.value, there.value, "")
    elif here.structured or there.structured:
        return ("one is structured, the other is text",)
    else:
        lines = (line for line in unified_diff(here.text.split("\n"), there.text.split("\n"), "here", "there", n=1))
    found: list[str] = []
    for line in lines:
        if len(found) == MOST_DIFFERENCES:
            return (*found, "and more")
        found.append(line.rstrip("\n")[: 3 * SHOWN_CHARS])
    return tuple(found)


def _find_differences(here: Any, there: Any, pointer: str) -> Iterator[str]:
    if isinstance(here, dict) and isinstance(there, dict):
        for name in sorted({*here, *there}):
            inner = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if name not in here or name not in there:
                yield _line(inner, *(_shown(side[name]) if name in side else MISSING for side in (here, there)))
            else:
                yield from _find_differences(here[name], there[name], inner)
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for place, (mine, theirs) in enumerate(zip(here, there, strict=True)):
            yield from _find_differences(mine, theirs, f"{pointer}/{place}")
    elif _shown(here, cut=False) != _shown(there, cut=False):
        yield _line(pointer or "(all of it)", _shown(here), _shown(there))


def _line(pointer: str, here: str, there: str) -> str:
    return f"{pointer[:SHOWN_CHARS]}: here {here}, there {there}"


def _shown(value: Any, *, cut: bool = True) -> str:
    text = json.dumps(value, sort_keys=True)
    return text[:SHOWN_CHARS] if cut else text


def _plain(value: Any, count: list[int], depth: int) -> Any:
    """The value as JSON types; others (dates, bytes, NaN) become strings that begin with NUL, which no file has."""
    count[0] += 1
    if count[0] > MOST_VALUES or depth > DEEPEST:
        raise UnreadableContract("holds too much to compare")
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return f"\0float {value}"
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, datetime | date | time):
        return f"\0time {value.isoformat()}"
    if isinstance(value, list | tuple):
        return [_plain(each, count, depth + 1) for each in value]
    if isinstance(value, dict):
        return {_key(key): _plain(each, count, depth + 1) for key, each in value.items()}
    if isinstance(value, bytes):
        return f"\0bytes {value.hex()}"
    raise UnreadableContract(f"holds a {type(value).__name__}")


def _key(key: object) -> str:
    return key if isinstance(key, str) else f"\0{type(key).__name__} {key}"


def _loader(path: str) -> Callable[[str], Any] | None:
    """The parser for structured files of this name; None: the file is compared as text."""
    ending = path.rpartition("/")[2].rpartition(".")[2].lower()
    if ending == "json":
        return _json
    if ending == "toml":
        return read_toml
    return read_yaml if ending in ("yaml", "yml") and has_yaml() else None


def _json(text: str) -> Any:
    return read_json(text, pairs=_unique_keys, constant=float)


def _unique_keys(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("names something twice in one object")
    return found


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:SHOWN_CHARS]
