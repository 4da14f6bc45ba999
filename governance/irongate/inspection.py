"""A candidate together with everything that gates judge it by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from ledger.vocabulary import Candidate, Complexity, Edit, Frozen, Operation
from tools.manifest import ToolUse

EditFault = Literal["twice", "before", "kind"]


class ContainmentFacts(Frozen):
    """A path as it was given, and what was found on the way to it (nothing when only the text is judged)."""

    path: str
    mode: int = 0o644
    root_is_link: bool = False
    links: tuple[str, ...] = ()  # prefixes of the path that are symbolic links
    twins: tuple[str, ...] = ()  # existing names that differ from a component by case only
    special: bool = False  # a component is neither a file nor a folder
    edit_fault: EditFault | None = None  # how a candidate's edit of the path contradicts itself


class Inspection(Frozen):
    """Input of all gates that judge a candidate; recorded, so that their verdicts can be replayed.

    ``originals``: content of every path that the candidate touches, at the op's tree (None: no such file).
    ``located``: what gate 1 found on disk; a path that is missing here is judged by its text.
    """

    op: Operation
    candidate: Candidate
    originals: dict[str, bytes | None]
    plan_paths: tuple[str, ...] | None = None
    exploration: tuple[ToolUse, ...] = ()
    reads: dict[str, str] = Field({})
    complexity: Complexity
    protected: tuple[str, ...] = ()
    own: tuple[str, ...] = ()  # patterns of the daemon's own code, where this is its repository
    strict_ascii: bool = False
    undone_diffs: tuple[str, ...] = ()
    located: tuple[ContainmentFacts, ...] = ()
    tests: tuple[str, ...] = ()  # the sources of the failing tests
    raised: tuple[str, ...] = ()  # the exceptions that they failed with
    said: tuple[str, ...] = ()  # their messages
    known: tuple[str, ...] = ()  # which of gate 20's questions the repository's other files answer with yes

    def touched(self) -> Iterator[tuple[str, Edit]]:
        """Every path that an edit writes or removes."""
        for edit in self.candidate.edits:
            yield edit.path, edit
            if edit.renamed_from is not None:
                yield edit.renamed_from, edit

    def before(self, edit: Edit) -> bytes | None:
        """The edited file's content at the op's tree (of a renamed file: at its old path)."""
        return self.originals.get(edit.renamed_from or edit.path)
