"""Gate 20, the allow-list of unattended changes: any other change needs an approval; none is refused.

On the list are small repairs of existing functions. They may compute new values, but only from values that the function
already has, with operators, plain builtins, methods of builtin types, and functions of the repository without effects;
they may change conditions, and raise errors that the file raises already. What has to stay: calls with effects, checks,
stores into objects, and ``except`` clauses; the daemon's own search may change the arguments and conditions of calls.
Outside of functions the list has imports of harmless names and plain data. Documentation and test data are
NOTIFY_APPLY, or need an approval where passing tests complete the op, because a test may read them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.syntax import parse, without_docstrings
from governance.irongate.unattended import raw
from governance.irongate.unattended.change import Change
from governance.irongate.unattended.files import FileKind, kind_of
from governance.irongate.unattended.raw import only_punctuation
from governance.irongate.unattended.units import Found
from governance.irongate.unattended.values import revealed_values
from governance.irongate.verdicts import passed, shown
from ledger.vocabulary import SEARCH, Candidate, Decision, EditKind, Frozen, Tier, Verdict

NUMBER = 20
APPROVAL, NOTIFY = Tier.APPROVAL_REQUIRED, Tier.NOTIFY_APPLY
DIRECTIVE = re.compile(
    r"\.\.[ \t]+(?!(?:version(?:added|changed)|deprecated|note|warning|seealso)::)[\w:|-]+::|:\w[\w:]*:`|```"
    r"|\{[{%!]|>>>"
)
"""Markup that makes a documentation builder or doctest run something; the directives listed in it only show text."""


class UnattendedFacts(Frozen):
    """One file before and after, and the texts and messages of the failing tests.

    ``known``: those of :func:`questions_about` that the rest of the repository answers with yes.
    """

    path: str
    kind: EditKind = EditKind.MODIFY
    before: bytes | None
    after: bytes | None
    runs: bool = False  # a new file that may be executed
    tests: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    """Messages of the failing tests: they show expected values that no test's text has."""
    known: tuple[str, ...] = ()
    by_search: bool = False
    """Whether the daemon's own search made the change: by its own moves, and by a kernel that only fills holes."""
    closes_by_tests: bool = False  # the op is done when tests pass, and these may read any file


def check(facts: UnattendedFacts) -> Verdict:
    """Require approval for the first thing that is not on the list; the evidence contains every one."""
    kind = kind_of(facts.path)
    if facts.before == facts.after and facts.kind is EditKind.MODIFY and not facts.runs:
        return passed(NUMBER)
    if kind in (FileKind.ELSEWHERE, FileKind.UNLISTED):
        return _needs_approval("file", [f"{facts.path}: is {kind.value}"])
    if facts.runs:
        return _needs_approval("mode", [f"{facts.path}: is new and may be executed"])
    if kind in (FileKind.DOCUMENT, FileKind.DATA) and facts.closes_by_tests:
        return _needs_approval("read", [f"{facts.path}: is {kind.value}, which a test may read"])
    if kind in (FileKind.DOCUMENT, FileKind.DATA):
        return passed(NUMBER, "told", floor=NOTIFY, evidence=[f"{facts.path}: is {kind.value}"])
    if facts.after is None or facts.kind in (EditKind.DELETE, EditKind.RENAME):
        return _needs_approval("file", [f"{facts.path}: is taken away or moved"])
    if facts.before is None and kind is FileKind.SOURCE:
        return _needs_approval("file", [f"{facts.path}: is a new source file"])
    return _check_content(facts, facts.after, kind)


def _check_content(facts: UnattendedFacts, after: bytes, kind: FileKind) -> Verdict:
    try:
        found = list(dict.fromkeys(_find_problems(facts, after, kind)))
    except (RecursionError, ValueError):  # Python does not write numbers of more than 4300 digits
        found = [("syntax", "is nested too deeply to be read, or holds a number that cannot be written")]
    if not found:
        return passed(NUMBER)
    return _needs_approval(found[0][0], [f"{facts.path}: {shown(what)}" for _, what in found])


def _needs_approval(rule: str, evidence: list[str]) -> Verdict:
    return passed(NUMBER, rule, floor=APPROVAL, evidence=evidence)


def _find_problems(facts: UnattendedFacts, after: bytes, kind: FileKind) -> Iterator[Found]:
    before = facts.before or b""
    yield from (("text", what) for what in raw.find_problems(before, after))
    if kind is FileKind.TEST:
        yield "file", "is a test, which runs wherever somebody runs the tests"
        return
    old, new = parse(before), parse(after)
    if new is None:
        yield "unread", "does not parse"
    elif old is None:
        if not only_punctuation(before, after):
            yield "unread", "the file did not parse before, and more than a bracket, colon or comma of it is changed"
    else:
        yield from _find_documentation_problems(old, new, by_search=facts.by_search)
        if facts.by_search:
            yield from (("text", what) for what in raw.commented(before, after))
        change = Change(facts.path, without_docstrings(old), without_docstrings(new))
        revealed = revealed_values(facts.tests, facts.said)
        yield from change.problems(revealed, frozenset(facts.known), by_search=facts.by_search)


def _find_documentation_problems(old: ast.Module, new: ast.Module, *, by_search: bool) -> Iterator[Found]:
    """Changed documentation that tools execute (examples, directives) or that the file's code reads as ``__doc__``; of
    the search's own changes every change of documentation.
    """
    had, has = (set(_docstrings(tree)) for tree in (old, new))
    fresh = has - had
    names = (node for node in ast.walk(new) if isinstance(node, ast.Attribute | ast.Name))
    if had != has and any(_name(node) == "__doc__" for node in names):
        yield "documentation", "changes documentation in a file that asks for it"
    if fresh and by_search:
        yield "documentation", "writes documentation"
    for text in fresh:
        if DIRECTIVE.search(text):
            yield "documentation", "writes an example or a directive into documentation"


def _name(node: ast.Attribute | ast.Name) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def questions_about(path: str, before: bytes | None, after: bytes | None) -> tuple[str, ...]:
    """Questions about the rest of the repository: whether what a changed function calls has no effects."""
    old, new = (parse(data) if data is not None else None for data in (before, after))
    if old is None or new is None or kind_of(path) is not FileKind.SOURCE:
        return ()
    try:
        return tuple(sorted(set(Change(path, without_docstrings(old), without_docstrings(new)).questions())))
    except (RecursionError, ValueError):
        return ()  # :func:`check` gives the reason


def questions_about_candidate(candidate: Candidate, originals: Mapping[str, bytes | None]) -> frozenset[str]:
    """The questions about all edits of a candidate."""
    return frozenset(
        question
        for edit in candidate.edits
        for question in questions_about(edit.path, originals.get(edit.renamed_from or edit.path), edit.after)
    )


def select_facts(inspection: Inspection) -> Iterator[UnattendedFacts]:
    """One item for each edit."""
    for edit in inspection.candidate.edits:
        yield UnattendedFacts(
            path=edit.path,
            kind=edit.kind,
            before=inspection.before(edit),
            after=edit.after,
            runs=bool(edit.mode & 0o111) and edit.kind is not EditKind.MODIFY,  # an existing file keeps its mode
            tests=inspection.tests,
            said=inspection.said,
            known=inspection.known,
            by_search=inspection.candidate.strategy == SEARCH,
            closes_by_tests=bool(inspection.op.test_ids),
        )


_OLD = b"import os\n\n\ndef add(a, b):\n    return a - b\n"
_NEW = _OLD.replace(b"a - b", b"a + b")
_TEST = ("def test_add():\n    assert add(20, 33) == 53\n",)


def _example(new: str, old: bytes = _OLD, path: str = "calc.py") -> UnattendedFacts:
    return UnattendedFacts(path=path, before=old, after=old.replace(b"a - b", new.encode()), tests=_TEST)


EXAMPLES: tuple[tuple[UnattendedFacts, Decision | Tier], ...] = (
    (_example("a + b"), Decision.ALLOW),
    (_example("0 if a is None else max(a, b)"), Decision.ALLOW),
    (_example("os.path.join(a, b)"), Decision.ALLOW),
    (_example("53"), APPROVAL),
    (_example("a + b if a * b == 660 else a - b"), APPROVAL),
    (_example("os.system(a)"), APPROVAL),
    (_example("os.environ"), APPROVAL),
    (_example("vars(os)"), APPROVAL),
    (_example("open(a, 'w')"), APPROVAL),
    (_example("a + b\n\n\nclass A(int):\n    def __eq__(self, o):\n        return True"), APPROVAL),
    (UnattendedFacts(path=".github/workflows/ci.py", before=_OLD, after=_NEW), APPROVAL),
    (UnattendedFacts(path="Makefile", before=b"a:\n", after=b"a: b\n"), APPROVAL),
    (UnattendedFacts(path="docs/a.md", before=None, after=_NEW, kind=EditKind.CREATE, runs=True), APPROVAL),
    (UnattendedFacts(path="README.md", before=b"a", after=b"b"), NOTIFY),
    (UnattendedFacts(path="README.md", before=b"a", after=b"b", closes_by_tests=True), APPROVAL),
    (UnattendedFacts(path="tests/data/a.json", before=b"1", after=b"2"), NOTIFY),
)
GATE = Gate(
    number=NUMBER,
    name="unattended changes",
    summary="raises: every change that is not on the list of unattended changes",
    subjects=(Subject.CANDIDATE,),
    facts=UnattendedFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
