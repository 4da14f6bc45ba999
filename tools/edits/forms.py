"""The forms in which a model states edits, as values. Lines carry no line ending."""

from __future__ import annotations

from typing import Literal

from ledger.vocabulary import Frozen


class Split(Frozen):
    """One reading of a search/replace block: what is looked for and what stands there afterwards."""

    search: tuple[str, ...]
    replace: tuple[str, ...]


class Replacement(Frozen):
    """A search/replace block. A body with several divider lines can be read in several ways (``readings``)."""

    kind: Literal["replace"] = "replace"
    path: str
    readings: tuple[Split, ...]


class Hunk(Frozen):
    """One hunk of a unified diff. ``line`` is where the old text was said to begin (1-based; a hint only)."""

    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    new_ends_bare: bool = False  # the new file has no newline at its end
    old_ends_bare: bool = False


class FileDiff(Frozen):
    """The part of a unified diff that speaks of one file. ``old`` None: created; ``new`` None: deleted."""

    kind: Literal["diff"] = "diff"
    old: str | None
    new: str | None
    hunks: tuple[Hunk, ...] = ()

    @property
    def path(self) -> str:
        return self.new or self.old or ""


class WholeFile(Frozen):
    """A whole file in a fenced block under its path."""

    kind: Literal["whole"] = "whole"
    path: str
    lines: tuple[str, ...]


Part = Replacement | FileDiff | WholeFile


class EditProblem(Frozen):
    """Why an edit could not be taken, in words that a model can act on."""

    path: str
    rule: str  # "edits.unreadable", "edits.not_found", "edits.ambiguous", ...
    text: str


class EditProblems(Frozen):
    """Everything that was wrong with an answer; no edit of it is taken."""

    problems: tuple[EditProblem, ...]

    @property
    def text(self) -> str:
        """All problems, one paragraph each."""
        return "\n\n".join(f"{p.path}: {p.text}" if p.path else p.text for p in self.problems)


class ParsedEdits(Frozen):
    """What was found in an answer, in order."""

    parts: tuple[Part, ...] = ()
    problems: tuple[EditProblem, ...] = ()
