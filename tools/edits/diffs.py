"""Parser for unified diffs. Line numbers and counts are hints (models miscount); only the old text must match."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.edits.forms import FileDiff, Hunk

HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
BARE_HUNK = re.compile(r"^@@(?: .*)?(?:@@.*)?$")
GIT = re.compile(r"^diff --git (.+) (.+)$")
EXTENDED = re.compile(
    r"^(index |old mode|new mode|new file mode|deleted file mode|similarity index|dissimilarity index)"
)


def _is_header(lines: Sequence[str], at: int) -> bool:
    """``---`` and ``+++`` lines, followed by a hunk (else a removed line ``-- x`` would look like a header)."""
    return (
        lines[at].startswith("--- ")
        and at + 1 < len(lines)
        and lines[at + 1].startswith("+++ ")
        and (at + 2 >= len(lines) or bool(BARE_HUNK.match(lines[at + 2])) or lines[at + 2].strip() in ("", "```"))
    )


def _is_row(lines: Sequence[str], at: int) -> bool:
    return lines[at][:1] in ("+", "-", " ") and lines[at] != "" and not _is_header(lines, at)


def is_diff_start(lines: Sequence[str], at: int) -> bool:
    """Whether a file's diff begins at line index ``at``."""
    return bool(GIT.match(lines[at])) or _is_header(lines, at)


def _name(field: str) -> str | None:
    name = field.split("\t")[0].strip().strip('"')
    return None if name == "/dev/null" else name


def _plain(old: str | None, new: str | None) -> tuple[str | None, str | None]:
    """Names without git's ``a/`` and ``b/``, taken off only where both sides carry them."""
    marked = (old is None or old.startswith("a/")) and (new is None or new.startswith("b/"))
    if marked:
        old, new = old and old[2:], new and new[2:]
    return old and old.removeprefix("./"), new and new.removeprefix("./")


def parse_diff(lines: Sequence[str], at: int) -> tuple[FileDiff, int, str]:
    """The diff of one file that begins at ``at``: (diff, index after it, problem or "")."""
    old: str | None = None
    new: str | None = None
    git = GIT.match(lines[at])
    if git:
        old, new = _plain(_name(git.group(1)), _name(git.group(2)))
        at += 1
        while at < len(lines) and (EXTENDED.match(lines[at]) or lines[at].startswith(("rename ", "copy "))):
            field, _, name = lines[at].partition(" to ")
            if lines[at].startswith("new file mode"):
                old = None
            elif lines[at].startswith("deleted file mode"):
                new = None
            elif field == "rename":
                new = name.strip()
            elif lines[at].startswith("rename from "):
                old = lines[at].removeprefix("rename from ").strip()
            at += 1
    if at < len(lines) and _is_header(lines, at):
        renamed = git is not None and old is not None and new is not None and old != new
        if not renamed:
            old, new = _plain(_name(lines[at][4:]), _name(lines[at + 1][4:]))
        at += 2
    elif git and at < len(lines) and lines[at].startswith(("Binary files", "GIT binary patch")):
        return FileDiff(old=old, new=new), at + 1, "binary diffs are not taken."
    hunks: list[Hunk] = []
    trouble = ""
    while at < len(lines) and BARE_HUNK.match(lines[at]):
        hunk, at = _hunk(lines, at)
        if hunk.old == hunk.new and not hunk.old:
            trouble = "a hunk of the diff is empty: the answer seems to be cut off."
        hunks.append(hunk)
    if old is None and new is None:
        trouble = "the diff names no file."
    elif not hunks and old == new:
        trouble = "the diff has a header but no hunk."
    return FileDiff(old=old, new=new, hunks=tuple(hunks)), at, trouble


def _hunk(lines: Sequence[str], at: int) -> tuple[Hunk, int]:
    head = HUNK.match(lines[at])
    at += 1
    old: list[str] = []
    new: list[str] = []
    bare = {"old": False, "new": False}
    blanks = 0  # empty lines that may be context whose one blank was lost, or the end of the hunk
    last = " "
    want_old = int(head.group(2) or 1) if head else 0
    want_new = int(head.group(4) or 1) if head else 0
    while at < len(lines):
        line = lines[at]
        complete = head is not None and len(old) >= want_old and len(new) >= want_new
        if complete and (blanks or line == "-- "):
            break  # what follows is prose, or the signature of a mailed patch
        short = len(old) + blanks < want_old and len(new) + blanks < want_new
        if line == "" and (short or (at + 1 < len(lines) and _is_row(lines, at + 1))):
            blanks += 1
        elif line.startswith("\\"):
            bare["old"] = bare["old"] or last in " -"
            bare["new"] = bare["new"] or last in " +"
        elif _is_row(lines, at):
            old += [""] * blanks
            new += [""] * blanks
            blanks, last = 0, line[0]
            if last in " -":
                old.append(line[1:])
            if last in " +":
                new.append(line[1:])
        else:
            break
        at += 1
    if len(old) < want_old and len(new) < want_new:
        # Context lines that the header counts and that came as empty lines at the very end of the hunk.
        missing = min(blanks, want_old - len(old), want_new - len(new))
        old += [""] * missing
        new += [""] * missing
    start = int(head.group(1)) if head else 0
    return Hunk(line=start, old=tuple(old), new=tuple(new), old_ends_bare=bare["old"], new_ends_bare=bare["new"]), at
