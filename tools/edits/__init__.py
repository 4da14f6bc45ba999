"""Edits from a model's answer: text in, checked file edits out. Pure: files are read through a given function.

Three forms are supported: search/replace blocks under a path line, unified diffs, and a whole new file in a fenced
block under its path.
"""

from tools.edits.forms import EditProblem, EditProblems, FileDiff, Hunk, ParsedEdits, Replacement, Split, WholeFile
from tools.edits.parse import parse_edits
from tools.edits.resolve import make_edit, resolve

__all__ = [
    "EditProblem",
    "EditProblems",
    "FileDiff",
    "Hunk",
    "ParsedEdits",
    "Replacement",
    "Split",
    "WholeFile",
    "make_edit",
    "parse_edits",
    "resolve",
]
