"""Gate 19, recursion: the daemon may not chase its own tail, and what was undone or rejected does not come back."""

from __future__ import annotations

import ast
import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping

from pydantic import Field

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.syntax import parse_copy
from governance.irongate.verdicts import denied, passed
from ledger.vocabulary import Candidate, Decision, Frozen, Verdict

NUMBER = 19
DEEPEST = 2
LONG = 2_000  # lines that differ: more are not looked at one by one
LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)
DEFINITION = re.compile(r"\s*(?:async )?(?:def|class) ")


class RecursionFacts(Frozen):
    """How many of our own commits caused the signal, both hashes of the change (empty: none yet), refused hashes."""

    depth: int = Field(ge=0)
    deepest: int = Field(DEEPEST, ge=0)
    diff: str = ""
    change: str = ""
    undone: tuple[str, ...] = ()


def check(facts: RecursionFacts) -> Verdict:
    """Deny (park) a chain that is too deep, and a change that was undone or rejected before."""
    if facts.depth > facts.deepest:
        reason = f"{facts.depth} of our own commits led to this signal; it waits for the owner."
        return denied(NUMBER, "depth", reason)
    known = next((digest for digest in (facts.diff, facts.change) if digest and digest in facts.undone), "")
    if known:
        return denied(NUMBER, "undone", "The same change was undone or rejected before.", evidence=(known,))
    return passed(NUMBER)


def diff_hash(candidate: Candidate) -> str:
    """A stable hash of what the files become: independent of the order of edits, of reasons, provider and base."""
    digest = hashlib.sha256(b"ouro-change-1\n")
    for edit in sorted(candidate.edits, key=lambda e: (e.path, e.kind)):
        content = "-" if edit.after is None else hashlib.sha256(edit.after).hexdigest()
        mode = "x" if edit.after is not None and edit.mode & 0o100 else "-"
        for field in (edit.path, edit.kind.value, content, mode, edit.renamed_from or ""):
            digest.update(field.encode("utf-8", errors="surrogatepass") + b"\0")
    return digest.hexdigest()


def change_hash(candidate: Candidate, originals: Mapping[str, bytes | None]) -> str:
    """A stable hash of the removed and the added lines, independent of their place in the file.

    :func:`diff_hash` names whole files: after any other edit of the same file the same repair would be a new one.
    Programs are compared without layout, comments and statements that nothing reaches, so that the same repair,
    written differently, has the same hash. A place is named by the definition above it. Empty when no line differs.
    """
    digest, told = hashlib.sha256(b"ouro-change-2\n"), False
    for edit in sorted(candidate.edits, key=lambda e: (e.path, e.kind)):
        old, new = originals.get(edit.renamed_from or edit.path) or b"", edit.after or b""
        for hunk in _find_hunks(*_comparable_lines(edit.path, old, new)):
            told = True
            for text in (edit.path, edit.kind.value, *hunk):
                digest.update(text.encode("utf-8", errors="surrogatepass") + b"\0")
    return digest.hexdigest() if told else ""


def _comparable_lines(path: str, old: bytes, new: bytes) -> tuple[list[str], list[str]]:
    """The lines of both versions: of programs without layout and comments, of other files all."""
    shown = (program_lines(old), program_lines(new)) if path.endswith((".py", ".pyi")) else (None, None)
    if shown[0] is None or shown[1] is None:
        return _lines(old), _lines(new)
    return shown[0], shown[1]


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", errors="surrogateescape").splitlines()


def program_lines(data: bytes) -> list[str] | None:
    """A program without layout, comments and unreachable statements; None where it does not parse."""
    tree = parse_copy(data)
    if tree is None:
        return None
    try:
        return ast.unparse(_Reached().visit(tree)).splitlines()
    except (ValueError, RecursionError, MemoryError):
        return None


class _Reached(ast.NodeTransformer):
    """Drops unreachable statements: those after one that always leaves its block."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                ends = next((n for n, step in enumerate(block) if isinstance(step, LEAVES)), len(block))
                del block[ends + 1 :]
        return node


def _find_hunks(old: list[str], new: list[str]) -> Iterator[tuple[str, ...]]:
    """The differences in order, each with its definition, the removed lines and the added lines."""
    start, longest = 0, min(len(old), len(new))
    while start < longest and old[start] == new[start]:
        start += 1
    end = 0
    while end < longest - start and old[-1 - end] == new[-1 - end]:
        end += 1
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    if len(left) + len(right) > LONG:  # a rewrite: compared as one
        yield "", *left, "\0", *right
        return
    for tag, a0, a1, b0, b1 in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag != "equal":
            above = next((line for line in reversed(old[: start + a0]) if DEFINITION.match(line)), "")
            yield above, *left[a0:a1], "\0", *right[b0:b1]


def select_facts(inspection: Inspection) -> tuple[RecursionFacts]:
    """The whole candidate."""
    undone, candidate = inspection.undone_diffs, inspection.candidate
    change = change_hash(candidate, inspection.originals) if undone else ""
    facts = RecursionFacts(depth=inspection.op.depth, diff=diff_hash(candidate), change=change, undone=undone)
    return (facts,)


EXAMPLES: tuple[tuple[RecursionFacts, Decision], ...] = (
    (RecursionFacts(depth=2), Decision.ALLOW),
    (RecursionFacts(depth=3), Decision.DENY),
    (RecursionFacts(depth=0, diff="aa", undone=("bb",)), Decision.ALLOW),
    (RecursionFacts(depth=0, diff="aa", undone=("bb", "aa")), Decision.DENY),
    (RecursionFacts(depth=0, diff="", undone=("",)), Decision.ALLOW),
    (RecursionFacts(depth=0, diff="aa", change="cc", undone=("cc",)), Decision.DENY),
)
GATE = Gate(
    number=NUMBER,
    name="recursion",
    summary="signals that too many of our own commits led to, and changes that were undone or rejected before",
    subjects=(Subject.SIGNAL, Subject.CANDIDATE),
    facts=RecursionFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
