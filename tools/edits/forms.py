"""Parsed edits of a model, in each supported form. Lines have no line ending."""

from __future__ import annotations

from typing import Literal

from ledger.vocabulary import Frozen


class Split(Frozen):
    """One reading of a search/replace block: the search text and its replacement."""

    search: tuple[str, ...]
    replace: tuple[str, ...]


class Replacement(Frozen):
    """A search/replace block. A body with several divider lines can be read in several ways (``readings``)."""

    kind: Literal["replace"] = "replace"
    path: str
    readings: tuple[Split, ...]


class Hunk(Frozen):
    """One hunk of a unified diff. ``line`` is the stated first line of the old text (1-based; a hint only)."""

    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    new_ends_bare: bool = False  # the new file has no newline at its end
    old_ends_bare: bool = False


class FileDiff(Frozen):
    """The part of a unified diff for one file. ``old`` None: created; ``new`` None: deleted."""

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
    """Why an edit cannot be used, worded for the model."""

    path: str
    rule: str  # "edits.unreadable", "edits.not_found", "edits.ambiguous", ...
    text: str


class EditProblems(Frozen):
    """All problems of an answer; none of its edits is used."""

    problems: tuple[EditProblem, ...]

    @property
    def text(self) -> str:
        """All problems, one paragraph each."""
        return "\n\n".join(f"{p.path}: {p.text}" if p.path else p.text for p in self.problems)


class ParsedEdits(Frozen):
    """The edits and problems found in an answer, in order."""

    parts: tuple[Part, ...] = ()
    problems: tuple[EditProblem, ...] = ()
