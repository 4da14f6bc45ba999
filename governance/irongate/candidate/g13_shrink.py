"""Gate 13, shrink and elision: a model that rewrites a file may not lose it.

Denied for an existing file, unless the owner asked for a deletion: over half of the lines gone, an empty file, code
replaced by "the rest stays as it is", a function whose body was emptied, a tail that was cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.irongate.candidate.elision import find_elided_lines, find_emptied_functions
from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.lines import added_lines, as_text, split_lines
from governance.irongate.paths import is_python
from governance.irongate.syntax import parse
from governance.irongate.verdicts import denied, passed, shown
from ledger.vocabulary import Decision, EditKind, Frozen, Operation, Source, Tier, Verdict

NUMBER = 13
LEAST_LINES = 4  # a shorter file may lose any number of lines
DELETION = re.compile(
    r"\b(?:delete|deletes|deleting|remove|removes|removing|drop|dropping|prune|purge|strip out|get rid of|"
    r"clean ?up|dead code|unused)\b",
    re.IGNORECASE,
)


class ShrinkFacts(Frozen):
    """One file before and after, the kind of edit, and whether the owner wants a deletion."""

    path: str
    kind: EditKind
    before: bytes | None
    after: bytes | None
    deletion_wanted: bool = False


def wants_deletion(op: Operation) -> bool:
    """Whether a person asked for something to be taken away. What a sensor writes does not count."""
    return any(s.source is Source.MANUAL and DELETION.search(s.goal) for s in op.signals)


def check(facts: ShrinkFacts) -> Verdict:
    """Deny a loss; a whole file that goes needs a person's yes."""
    if facts.after is None:
        return passed(NUMBER, "deletes_file", floor=Tier.APPROVAL_REQUIRED, evidence=(facts.path,))
    if b"\0" in facts.after:
        return passed(NUMBER)
    elided = find_elided_lines(facts.path, facts.before, facts.after)
    if elided:
        spots = [f"{facts.path}:{number}" for number in elided]
        reason = f"{shown(facts.path)} has marks where code was left out; write every line in full."
        return denied(NUMBER, "elided", reason, evidence=spots)
    if facts.before is None or facts.deletion_wanted:
        return passed(NUMBER)
    return _check_loss(facts, facts.before, facts.after)


def _check_loss(facts: ShrinkFacts, before: bytes, after: bytes) -> Verdict:
    name = shown(facts.path)
    old, new = _content_lines(facts.path, before), _content_lines(facts.path, after)
    if old and not new:
        return denied(NUMBER, "emptied", f"{name} would be empty.", evidence=(facts.path,))
    if _is_cut_off(facts.path, before, after):
        return denied(
            NUMBER, "cut_off", f"{name} ends in the middle; the answer seems to be cut off.", evidence=(facts.path,)
        )
    if len(old) >= LEAST_LINES and len(new) * 2 < len(old):
        reason = f"{name} would lose over half of its lines ({len(old)} to {len(new)})."
        return denied(NUMBER, "shrink", reason, evidence=(facts.path,))
    hollow = find_emptied_functions(before, after) if is_python(facts.path) else ()
    if hollow:
        reason = f"The body of {', '.join(hollow)} in {name} was emptied."
        return denied(NUMBER, "hollow", reason, evidence=hollow)
    return passed(NUMBER)


def _content_lines(path: str, data: bytes) -> list[str]:
    """Lines with content: neither blank nor, in Python, only a comment."""
    lines = [line.strip() for line in split_lines(as_text(data))]
    return [line for line in lines if line and not (is_python(path) and line.startswith("#"))]


def _is_cut_off(path: str, before: bytes, after: bytes) -> bool:
    """The file ended with a newline and now ends within a line, or inside an open bracket or string."""
    if not before.endswith(b"\n") or after.endswith(b"\n") or not added_lines(before, after):
        return False
    if is_python(path) and parse(before) is not None and parse(after) is None:
        return True
    last = split_lines(as_text(after))[-1]
    return any(line != last and line.startswith(last) for line in split_lines(as_text(before)))


def select_facts(inspection: Inspection) -> Iterator[ShrinkFacts]:
    """One item for each edit."""
    wanted = wants_deletion(inspection.op)
    for edit in inspection.candidate.edits:
        before = inspection.before(edit)
        yield ShrinkFacts(path=edit.path, kind=edit.kind, before=before, after=edit.after, deletion_wanted=wanted)


def _example(before: str | None, after: str | None, *, path: str = "a.py", wanted: bool = False) -> ShrinkFacts:
    kind = EditKind.CREATE if before is None else EditKind.DELETE if after is None else EditKind.MODIFY
    return ShrinkFacts(
        path=path,
        kind=kind,
        before=None if before is None else before.encode(),
        after=None if after is None else after.encode(),
        deletion_wanted=wanted,
    )


_BODY = "def f(x):\n    y = x + 1\n    return y\n\n\ndef g(x):\n    z = x * 2\n    return z\n"
_TYPED = "from typing import Protocol\n\n\nclass Door(Protocol):\n    def open(self) -> None: ...\n"

EXAMPLES: tuple[tuple[ShrinkFacts, Decision], ...] = (
    (_example(_BODY, _BODY.replace("+ 1", "+ 2")), Decision.ALLOW),
    (_example(_BODY, "def f(x):\n    return x\n"), Decision.DENY),
    (_example(_BODY, "def f(x):\n    return x\n", wanted=True), Decision.ALLOW),
    (_example(_BODY, ""), Decision.DENY),
    (_example(_BODY, None), Decision.ALLOW),
    (_example(_BODY, _BODY + "\n# ... rest of the file unchanged ...\n"), Decision.DENY),
    (_example(_BODY, _BODY.replace("    z = x * 2\n", "    ...\n")), Decision.DENY),
    (_example(_BODY, _BODY.replace("    y = x + 1\n    return y\n", "    pass\n")), Decision.DENY),
    (_example(_BODY, _BODY[:-7]), Decision.DENY),
    (_example(_TYPED, _TYPED + "\n    def close(self) -> None: ...\n"), Decision.ALLOW),
    (_example(_TYPED, _TYPED.replace("None", "int")), Decision.ALLOW),
    (_example("a\nb\nc\nd\n", "a\n", path="a.txt"), Decision.DENY),
    (_example("a\nb\n", "a\n", path="a.txt"), Decision.ALLOW),
    (_example(None, "x = 1  # existing code here\n"), Decision.DENY),
    (_example(None, "data = numbers[..., 0]\n"), Decision.ALLOW),
)
GATE = Gate(
    number=NUMBER,
    name="shrink and elision",
    summary="files that lose over half their lines, their end or a body; marks of left-out code; raises: deleted files",
    subjects=(Subject.CANDIDATE,),
    facts=ShrinkFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
