"""Gate 14, no-op: a change that leaves every program as it was cannot answer a signal about code.

Python files are compared as syntax trees without docstrings, all others as text without white space.
"""

from __future__ import annotations

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.paths import is_python
from governance.irongate.syntax import dump, parse, without_docstrings
from governance.irongate.verdicts import denied, passed
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 14


class FileVersions(Frozen):
    """One file before and after (None: there was, or will be, no file)."""

    path: str
    before: bytes | None
    after: bytes | None


class NoopFacts(Frozen):
    """The whole change, and whether the op answers a signal about code."""

    files: tuple[FileVersions, ...]
    about_code: bool


def check(facts: NoopFacts) -> Verdict:
    """Deny when no file changes its behaviour."""
    if not facts.about_code or any(not is_noop(file) for file in facts.files):
        return passed(NUMBER)
    reason = "The change touches comments, blank space or docstrings only; the programs stay as they were."
    return denied(NUMBER, "noop", reason, evidence=tuple(file.path for file in facts.files))


def is_noop(file: FileVersions) -> bool:
    """Whether a file has the same meaning before and after."""
    if file.before is None or file.after is None:
        return file.before == file.after
    if is_python(file.path):
        old, new = parse(file.before), parse(file.after)
        if old is not None and new is not None:
            written = dump(without_docstrings(old))
            if written is not None:
                return written == dump(without_docstrings(new))
    return file.before.split() == file.after.split()


def select_facts(inspection: Inspection) -> tuple[NoopFacts]:
    """The whole candidate."""
    about_code = any(signal.closure.about_code for signal in inspection.op.signals)
    files = tuple(
        FileVersions(path=path, before=inspection.originals.get(path), after=edit.after if path == edit.path else None)
        for path, edit in inspection.touched()
    )
    return (NoopFacts(files=files, about_code=about_code),)


def _example(path: str, before: bytes | None, after: bytes | None, *, about_code: bool = True) -> NoopFacts:
    return NoopFacts(files=(FileVersions(path=path, before=before, after=after),), about_code=about_code)


EXAMPLES: tuple[tuple[NoopFacts, Decision], ...] = (
    (_example("a.py", b"x = 1\n", b"x = 2\n"), Decision.ALLOW),
    (_example("a.py", b"x = 1\n", b"# set x\nx  =  1\n"), Decision.DENY),
    (_example("a.py", b"def f(): return 1\n", b'def f():\n    "one"\n    return 1\n'), Decision.DENY),
    (_example("a.py", b"x = 1\n", b"# set x\nx = 1\n", about_code=False), Decision.ALLOW),
    (_example("a.js", b"x = 1;\n", b"x  = 1;\n\n"), Decision.DENY),
    (_example("__init__.py", None, b""), Decision.ALLOW),
    (NoopFacts(files=(), about_code=True), Decision.DENY),
)
GATE = Gate(
    number=NUMBER,
    name="no-op",
    summary="changes of comments, blanks and docstrings where a signal is about code",
    subjects=(Subject.CANDIDATE,),
    facts=NoopFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
