"""Parser for the edits in a model's answer. Nothing is guessed: an edit that cannot be parsed becomes a problem."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tools.edits.diffs import is_diff_start, parse_diff
from tools.edits.forms import EditProblem, ParsedEdits, Part, Replacement, Split, WholeFile

SEARCH = re.compile(r"^<{5,9} ?SEARCH>?\s*$")
DIVIDER = re.compile(r"^={5,9}\s*$")
REPLACE = re.compile(r"^>{5,9} ?REPLACE<?\s*$")
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*([^`]*)$")
PATH = re.compile(r"^[^\s`*\"'<>|:]+$")
DECORATION = re.compile(r"^(?:#{1,6}\s+|[-*]\s+|\d+\.\s+)?(?:(?:file|path|filename)\s*:\s*)?", re.IGNORECASE)
BARE_NAMES = frozenset(
    {"Makefile", "Dockerfile", "LICENSE", "README", "CHANGELOG", "NOTICE", "Procfile", "Jenkinsfile"}
)
PATH_REACH = 3  # how many lines above a block its path line may be, blank and fence lines not counted


def path_of(line: str) -> str | None:
    """The path of a line that has nothing else: ``**src/a.py**``, ``### `src/a.py`:``, ``File: a.py``; else None."""
    text = DECORATION.sub("", line.strip(), count=1).strip()
    text = text.strip("*").strip().rstrip(":").strip("`\"'").strip("*").strip().rstrip(":")
    text = text.removeprefix("./")
    if not text or not PATH.match(text):
        return None
    name = text.rsplit("/", 1)[-1]
    if re.search(r"\w\.\w+$|^\.\w", name) or name in BARE_NAMES or ("/" in text and re.search(r"\w", name)):
        return text
    return None


@dataclass
class _BlockReader:
    """Walks over the lines once and collects ``parts`` and ``problems``."""

    lines: list[str]
    at: int = 0
    path: str | None = None  # of the latest block: later blocks without a path use it
    wrapped: str | None = None  # marker of an open fence around edits; its closing line is skipped
    parts: list[Part] = field(default_factory=list)
    problems: list[EditProblem] = field(default_factory=list)

    def problem(self, rule: str, text: str) -> None:
        self.problems.append(EditProblem(path=self.path or "", rule=f"edits.{rule}", text=text))

    def path_above(self, index: int) -> str | None:
        """The path on a line above line ``index``, or in a fence's info string; blank lines and fences do not count."""
        seen = 0
        for line in reversed(self.lines[:index]):
            if REPLACE.match(line):
                return None
            if not line.strip() or FENCE.match(line):
                info = FENCE.match(line)
                if info and (path := path_in_info(info.group(2))):
                    return path
                continue
            if path := path_of(line):
                return path
            seen += 1
            if seen >= PATH_REACH:
                return None
        return None

    def next_non_blank(self, index: int) -> int | None:
        """Index of the next line that is not blank."""
        return next((i for i in range(index, len(self.lines)) if self.lines[i].strip()), None)

    def read(self) -> ParsedEdits:
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if SEARCH.match(line):
                self.block()
            elif is_diff_start(self.lines, self.at):
                self.diff()
            elif fence := FENCE.match(line):
                self.fence(fence)
            else:
                self.at += 1
        return ParsedEdits(parts=tuple(self.parts), problems=tuple(self.problems))

    def block(self) -> None:
        """A search/replace block, with ``at`` on its first marker."""
        path = self.path_above(self.at)
        self.path = path or self.path
        end = next((i for i in range(self.at + 1, len(self.lines)) if REPLACE.match(self.lines[i])), None)
        inner = next((i for i in range(self.at + 1, len(self.lines)) if SEARCH.match(self.lines[i])), None)
        if end is None or (inner is not None and inner < end):
            self.problem("unreadable", "a SEARCH block has no `>>>>>>> REPLACE` line: the answer seems to be cut off.")
            self.at = inner if inner is not None else len(self.lines)
            return
        body = self.lines[self.at + 1 : end]
        self.at = end + 1
        dividers = [i for i, line in enumerate(body) if DIVIDER.match(line)]
        if not dividers:
            self.problem("unreadable", "a SEARCH block has no `=======` line between the old and the new text.")
        elif self.path is None:
            self.problem("no_path", "a SEARCH block has no path: put the file's path on the line above the block.")
        else:
            readings = tuple(Split(search=tuple(body[:i]), replace=tuple(body[i + 1 :])) for i in dividers)
            self.parts.append(Replacement(path=self.path, readings=readings))

    def diff(self) -> None:
        diff, self.at, trouble = parse_diff(self.lines, self.at)
        if trouble:
            self.path = diff.path
            self.problem("unreadable", trouble)
        else:
            self.path = diff.path
            self.parts.append(diff)

    def fence(self, opened: re.Match[str]) -> None:
        """A fenced block. Around edits only the fence is skipped; below a path it is a whole file; else it is prose."""
        start = self.at + 1
        mark = opened.group(1)
        if self.wrapped and mark.startswith(self.wrapped) and not opened.group(2).strip():
            self.wrapped, self.at = None, start
            return
        first = self.next_non_blank(start)
        second = self.next_non_blank(first + 1) if first is not None else None
        for index in (first, second):
            has_edit = index is not None and (SEARCH.match(self.lines[index]) or is_diff_start(self.lines, index))
            # The second line counts only below a path line: else an example in prose would become an edit.
            if has_edit and (index == first or path_of(self.lines[first or 0])):
                self.wrapped, self.at = mark, start
                return
        path = self.path_above_fence(opened)
        closing = re.compile(rf"^ {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}\s*$")
        end = next((i for i in range(start, len(self.lines)) if closing.match(self.lines[i])), None)
        if end is None:
            if path and any(line.strip() for line in self.lines[start:]):
                self.path = path
                self.problem("unreadable", "the file's fenced block is not closed: the answer seems to be cut off.")
                self.at = len(self.lines)
            else:
                self.at = start
            return
        self.at = end + 1
        if path:
            self.path = path
            self.parts.append(WholeFile(path=path, lines=tuple(self.lines[start:end])))

    def path_above_fence(self, opened: re.Match[str]) -> str | None:
        if path := path_in_info(opened.group(2)):
            return path
        above = self.at - 1
        if above >= 0 and not self.lines[above].strip():
            above -= 1
        return path_of(self.lines[above]) if above >= 0 else None


def path_in_info(info: str) -> str | None:
    """A path in a fence's info string: ``python src/a.py``, ``python:src/a.py``, ``python title="src/a.py"``."""
    for word in re.split(r"[\s:=]+", info.strip())[::-1]:
        word = word.strip("\"'`{}")
        if ("/" in word or re.search(r"\w\.\w+$", word)) and (path := path_of(word)):
            return path
    return None


def parse_edits(text: str) -> ParsedEdits:
    """All edits of an answer. An answer without edits gives no parts and no problems."""
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return _BlockReader(lines).read()
