"""Applies parsed edits to file contents in memory. The search text of an edit must match exactly once in its file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind
from tools.edits.forms import (
    EditProblem,
    EditProblems,
    FileDiff,
    Hunk,
    ParsedEdits,
    Part,
    Replacement,
    Split,
    WholeFile,
)
from tools.edits.match import BlockMatch, Shift, ambiguous, find, not_found
from tools.edits.text import FileText, Line, decode

Read = Callable[[str], bytes | None]
DEFAULT_MODE = 0o644
MOST_PAIRS = 1_000_000  # of old and new lines that difflib may compare


class _Refused(Exception):
    """A problem that makes one part of the edits invalid."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = f"edits.{rule}"
        self.text = text


@dataclass
class _State:
    """File contents before all parts (``first``) and after the parts so far (``now``). None: no such file."""

    read: Read
    first: dict[str, bytes | None] = field(default_factory=dict)
    now: dict[str, bytes | None] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)  # new path -> old path

    def get(self, path: str) -> bytes | None:
        if path not in self.now:
            self.first[path] = self.now[path] = self.read(path)
        return self.now[path]

    def text(self, path: str) -> FileText:
        data = self.get(path)
        if data is None:
            raise _Refused("no_file", "there is no such file; to create it, give its whole content in a fenced block.")
        text = decode(data, path)
        if text is None:
            raise _Refused("binary", "the file is binary and cannot be edited as text.")
        return text

    def put(self, path: str, text: FileText) -> None:
        data = text.encode()
        if data is None:
            raise _Refused("encoding", f"the new text has a character that the file's encoding {text.encoding} lacks.")
        self.now[path] = data


def resolve(
    parsed: ParsedEdits, read: Read, *, modes: Mapping[str, int] | None = None, rationale: str = ""
) -> tuple[Edit, ...] | EditProblems:
    """Edits of the files that ``read`` returns (None: no such file), or all problems when there is any.

    ``modes`` has the permission bits of existing files; a file that is not in it gets 0644.
    """
    state = _State(read)
    problems = list(parsed.problems)
    for part in parsed.parts:
        try:
            _check_path(part)
            _apply(part, state)
        except _Refused as refused:
            problems.append(EditProblem(path=part.path, rule=refused.rule, text=refused.text))
    if problems:
        return EditProblems(problems=tuple(problems))
    edits = _changed_files(state, modes or {}, rationale)
    if not edits:
        empty = (
            "the answer holds no edit."
            if not parsed.parts
            else "the edits change nothing: the files already have this text."
        )
        return EditProblems(problems=(EditProblem(path="", rule="edits.nothing", text=empty),))
    return edits


def make_edit(
    path: str, before: bytes | None, after: bytes | None, *, mode: int = DEFAULT_MODE, rationale: str = ""
) -> Edit | None:
    """The edit from ``before`` to ``after`` (None: no file); None when they are equal."""
    if before == after:
        return None
    kind = EditKind.CREATE if before is None else EditKind.DELETE if after is None else EditKind.MODIFY
    seen = None if before is None else sha256_hex(before)
    return Edit(path=path, kind=kind, before=seen, after=after, mode=mode, rationale=rationale)


def _changed_files(state: _State, modes: Mapping[str, int], rationale: str) -> tuple[Edit, ...]:
    edits = []
    moved_away = set(state.renamed.values())
    for path, after in state.now.items():
        source = state.renamed.get(path)
        if source is not None and after is not None and state.first.get(path) is None:
            before = state.first[source] or b""
            mode = modes.get(source, DEFAULT_MODE)
            edits.append(
                Edit(
                    path=path,
                    kind=EditKind.RENAME,
                    before=sha256_hex(before),
                    after=after,
                    mode=mode,
                    renamed_from=source,
                    rationale=rationale,
                )
            )
        elif path in moved_away and after is None:
            continue
        else:
            mode = modes.get(path, DEFAULT_MODE)
            edit = make_edit(path, state.first[path], after, mode=mode, rationale=rationale)
            edits += [edit] if edit else []
    return tuple(edits)


def _check_path(part: Part) -> None:
    """Raises ``_Refused`` for a path outside the repository, before anything is read."""
    names = [part.old, part.new] if isinstance(part, FileDiff) else [part.path]
    for name in names:
        if name is not None and (not name or name.startswith("/") or ".." in name.split("/") or "\0" in name):
            raise _Refused("outside", "the path is not inside the repository.")


def _apply(part: Part, state: _State) -> None:
    if isinstance(part, WholeFile):
        _apply_whole(part, state)
    elif isinstance(part, Replacement):
        _apply_replacement(part, state)
    else:
        _apply_diff(part, state)


def _apply_whole(part: WholeFile, state: _State) -> None:
    lines = tuple(Line(body, "\n") for body in part.lines)
    if state.get(part.path) is None:
        state.put(part.path, FileText(lines))
        return
    text = state.text(part.path)
    newline = text.newline
    state.put(part.path, text.with_lines(tuple(Line(line.body, newline) for line in lines)))


def _apply_replacement(part: Replacement, state: _State) -> None:
    reading = part.readings[0]
    if not any(line.strip() for line in reading.search) and not state.get(part.path):
        state.put(part.path, FileText(tuple(Line(body, "\n") for body in reading.replace)))
        return
    text = state.text(part.path)
    if len(part.readings) == 1 and not any(line.strip() for line in reading.search):
        raise _Refused("no_search", "the search text is empty but the file is not; quote the lines that should change.")
    hits = [(split, find(text.bodies, split.search)) for split in part.readings]
    single = [(split, found[0]) for split, found in hits if len(found) == 1]
    if single:
        # A search text that contains a divider line and matches all the same is intended: take the longest reading.
        split, found = max(single, key=lambda hit: len(hit[0].search))
        state.put(part.path, _splice(text, found, split))
        return
    several = next(((split, found) for split, found in hits if len(found) > 1), None)
    if several:
        raise _Refused("ambiguous", ambiguous(several[1], len(several[0].search)))
    raise _Refused("not_found", not_found(text.bodies, reading.search))


def _apply_diff(part: FileDiff, state: _State) -> None:
    if part.old is None:
        if state.get(part.path) is not None:
            raise _Refused("exists", "the diff creates the file, but it exists already.")
        bodies = [line for hunk in part.hunks for line in hunk.new]
        bare = bool(part.hunks) and part.hunks[-1].new_ends_bare
        state.put(part.path, FileText(_with_newlines(bodies, bare)))
        return
    if part.new is None:
        state.text(part.old)
        state.now[part.old] = None
        return
    text = state.text(part.old)
    moved = 0
    for hunk in part.hunks:
        text, moved = _apply_hunk(text, hunk, moved)
    if part.new != part.old:
        if state.get(part.new) is not None:
            raise _Refused("exists", "the diff renames onto a file that exists already.")
        state.now[part.old] = None
        state.renamed[part.new] = part.old
    state.put(part.new, text)


def _with_newlines(bodies: Sequence[str], bare: bool) -> tuple[Line, ...]:
    lines = [Line(body, "\n") for body in bodies]
    if lines and bare:
        lines[-1] = Line(lines[-1].body, "")
    return tuple(lines)


def _apply_hunk(text: FileText, hunk: Hunk, moved: int) -> tuple[FileText, int]:
    """The text after the hunk, and the line offset for the hunks that follow."""
    if not hunk.old:
        if text.lines:
            raise _Refused("no_context", "a hunk has no context lines; quote at least one line around the insertion.")
        return text.with_lines(_with_newlines(hunk.new, hunk.new_ends_bare)), moved + len(hunk.new)
    found = find(text.bodies, hunk.old)
    if not found:
        raise _Refused("not_found", not_found(text.bodies, hunk.old))
    if len(found) > 1:
        # Of several matches the one at the stated line number is meant.
        found = tuple(f for f in found if f.start == hunk.line - 1 + moved) or found
    if len(found) > 1:
        raise _Refused("ambiguous", ambiguous(found, len(hunk.old)))
    text = _splice(text, found[0], Split(search=hunk.old, replace=hunk.new))
    reaches_end = found[0].start + len(hunk.new) == len(text.lines)
    if reaches_end and text.lines and hunk.new_ends_bare != hunk.old_ends_bare:
        end = "" if hunk.new_ends_bare else text.newline
        text = text.with_lines((*text.lines[:-1], Line(text.lines[-1].body, end)))
    return text, moved + len(hunk.new) - len(hunk.old)


def _splice(text: FileText, found: BlockMatch, split: Split) -> FileText:
    """Replace the matched lines. Lines that the edit does not change keep their bytes, endings included."""
    old = text.lines[found.start : found.start + len(split.search)]
    newline = text.newline
    lines: list[Line] = []
    for tag, a0, a1, b0, b1 in _opcodes(split.search, split.replace):
        if tag == "equal":
            lines += old[a0:a1]
            continue
        for offset, body in enumerate(split.replace[b0:b1]):
            replaced = old[a0 + offset].end if a0 + offset < a1 else ""
            lines.append(Line(_reindented(body, found.shift), replaced or newline))
    if old and not old[-1].end and lines:
        lines = [*(Line(line.body, line.end or newline) for line in lines[:-1]), Line(lines[-1].body, "")]
    return text.with_lines(text.lines[: found.start] + tuple(lines) + text.lines[found.start + len(old) :])


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    """Opcodes of difflib, which is quadratic: above ``MOST_PAIRS`` only the common head and tail are matched."""
    if len(old) * len(new) <= MOST_PAIRS:
        return difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    head = _common_head(old, new)
    tail = _common_head(old[head:][::-1], new[head:][::-1])
    return [
        ("equal", 0, head, 0, head),
        ("replace", head, len(old) - tail, head, len(new) - tail),
        ("equal", len(old) - tail, len(old), len(new) - tail, len(new)),
    ]


def _common_head(one: Sequence[str], other: Sequence[str]) -> int:
    """Number of equal lines at the start of both."""
    least = min(len(one), len(other))
    return next((at for at in range(least) if one[at] != other[at]), least)


def _reindented(body: str, shift: Shift) -> str:
    moved = shift.apply(body)
    if moved is None:
        raise _Refused("indent", f"the new line {body!r} is indented less than the shift of the search text allows.")
    return moved
