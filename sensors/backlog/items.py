"""The owner's backlog: items of ``.ouro/backlog.toml`` or ``.ouro/backlog.md``, and the mark that one is done. Pure.

TOML: ``[[item]]`` tables with ``goal`` and, where they help, ``id``, ``files``, ``ready``, ``after`` (names of
items that come first). Markdown: lines ``- [ ] goal``; paths in backticks are files. A done item has ``done = "OP"``,
or reads ``- [x] goal (OP)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError, field_validator

from ledger.frozen import inside
from ledger.ids import sha256_hex
from ledger.parsers import UnreadableText
from ledger.parsers.toml import read_toml
from ledger.vocabulary import ClosureAnswer, Frozen, ItemDone

TOML, MARKDOWN = ".ouro/backlog.toml", ".ouro/backlog.md"
HEADER = re.compile(r"^\s*\[\[\s*item\s*\]\]\s*(?:#.*)?$")
TASK = re.compile(r"^\s*[-*] \[([ xX])\] +(.*\S)\s*$")
BY_OP = re.compile(r"\s*\((op-[0-9a-f]{32}-\w+)\)$")
MOST_FILES = 20
LARGEST_BYTES = 256 * 1024
BY_OWNER = "by the owner"
FILE = re.compile(r"`([\w./-]+\.\w+)`")


class UnreadableBacklog(ValueError):
    """A backlog file is malformed; the text gives the reason."""


class BacklogItem(Frozen):
    """One item as the owner wrote it."""

    goal: str = Field(min_length=1, max_length=1_500)
    id: str = Field("", max_length=200)
    files: tuple[Annotated[str, AfterValidator(inside)], ...] = Field((), max_length=MOST_FILES)
    ready: bool = True
    after: tuple[str, ...] = Field((), max_length=50)
    done: str = ""  # the op that did it, or the owner's own word for it

    @field_validator("done", mode="before")
    @classmethod
    def _by_whom(cls, value: object) -> object:
        return (BY_OWNER if value else "") if isinstance(value, bool) else value

    @property
    def name(self) -> str:
        return self.id or self.goal

    @property
    def digest(self) -> str:
        """What a closure check knows the item by."""
        return sha256_hex(" ".join(self.name.split()))


def _of_toml(text: str) -> list[BacklogItem]:
    try:
        table = read_toml(text)
    except UnreadableText as error:
        raise UnreadableBacklog(str(error)) from error
    rows = table.get("item", [])
    if set(table) - {"item"} or not isinstance(rows, list):
        raise UnreadableBacklog("it may hold [[item]] tables only")
    try:
        return [BacklogItem.model_validate(row) for row in rows]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UnreadableBacklog(f"item {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _of_markdown(text: str) -> list[BacklogItem]:
    found = []
    for line in text.splitlines():
        task = TASK.match(line)
        if task is None:
            continue
        by = BY_OP.search(task[2])
        goal = BY_OP.sub("", task[2])
        done = (by[1] if by else BY_OWNER) if task[1] != " " else ""
        files = tuple(path for path in FILE.findall(goal) if not path.startswith("/") and ".." not in path)[:MOST_FILES]
        found.append(BacklogItem(goal=goal[:1_500], files=files, done=done))
    return found


READERS: Mapping[str, Callable[[str], list[BacklogItem]]] = {TOML: _of_toml, MARKDOWN: _of_markdown}


def items(path: str, data: bytes) -> tuple[BacklogItem, ...]:
    """The items of a backlog file in order. Raises ``UnreadableBacklog``."""
    if len(data) > LARGEST_BYTES:
        raise UnreadableBacklog(f"it is larger than {LARGEST_BYTES} bytes")
    try:
        found = READERS[path](data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadableBacklog("it is not UTF-8") from error
    seen = set[str]()
    for item in found:
        if item.digest in seen:
            raise UnreadableBacklog(f"two items have the same name: {item.name[:80]}")
        seen.add(item.digest)
    return tuple(found)


def ready(found: tuple[BacklogItem, ...]) -> tuple[BacklogItem, ...]:
    """Those that are open, not held back, and that come after done ones only."""
    done = {item.name for item in found if item.done}
    return tuple(item for item in found if item.ready and not item.done and done.issuperset(item.after))


def mark_done(path: str, data: bytes, digest: str, op_id: str) -> bytes | None:
    """The file with one item marked as done by an op, and nothing else another; None where that cannot be done."""
    try:
        before = items(path, data)
        at = next((i for i, item in enumerate(before) if item.digest == digest and not item.done), None)
        if at is None:
            return None
        after = _mark(path, data.decode("utf-8"), at, op_id).encode("utf-8")
        wanted = tuple(item.model_copy(update={"done": op_id}) if i == at else item for i, item in enumerate(before))
        return after if items(path, after) == wanted else None
    except UnreadableBacklog:
        return None


def _mark(path: str, text: str, at: int, op_id: str) -> str:
    lines = text.splitlines(keepends=True)
    pattern = HEADER if path == TOML else TASK
    places = [number for number, line in enumerate(lines) if pattern.match(line.rstrip("\r\n"))]
    if at >= len(places):
        return text
    place, line = places[at], lines[places[at]]
    bare = line.rstrip("\r\n")
    end = line[len(bare) :] or "\n"
    if path == TOML:
        lines[place] = f'{bare}{end}done = "{op_id}"{end}'
    else:
        lines[place] = f"{bare.rstrip().replace('[ ]', '[x]', 1)} ({op_id}){line[len(bare) :]}"
    return "".join(lines)


def item_answer(check: ItemDone, data: bytes | None) -> ClosureAnswer:
    """Closed when the item is marked done with the id of an op."""
    try:
        found = items(check.path, data) if data is not None and check.path in READERS else ()
    except UnreadableBacklog as error:
        return ClosureAnswer(closed=False, reason=f"{check.path} cannot be read: {error}")
    item = next((item for item in found if item.digest == check.item), None)
    if item is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"the item does not stand in {check.path} any more")
    if not item.done:
        return ClosureAnswer(closed=False, reason=f"the item is not marked done in {check.path}")
    by_op = BY_OP.fullmatch(f"({item.done})") is not None
    return ClosureAnswer(closed=by_op, gone=not by_op, reason=f"the item is marked done: {item.done}")


def mark_item(check: ItemDone, data: bytes, op_id: str) -> bytes | None:
    """The backlog file with the check's item marked as done by an op; None where that cannot be done."""
    return mark_done(check.path, data, check.item, op_id)
