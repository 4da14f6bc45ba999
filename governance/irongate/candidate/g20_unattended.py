"""Gate 20, the allow-list for changes without a person: what lands with nobody there is made of what is listed here.

Listed are small repairs of functions that are there: values of the function, computed from values of the function by
operators, plain builtins, methods of builtin types and functions of the repository that reach nothing; conditions, and
the errors that the file raises. Outside of functions: imports of harmless names, and plain data. What a function calls
that may reach out, checks, keeps and catches has to stay; the daemon's own search may give what a function calls other
arguments and conditions. All else waits for a person; documentation and test data are
told, and wait where the op is done when tests pass: a test may read them. The gate refuses nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from governance.irongate.syntax import parse, without_docstrings
from governance.irongate.unattended import raw
from governance.irongate.unattended.change import Change
from governance.irongate.unattended.files import Kind, kind_of
from governance.irongate.unattended.raw import only_punctuation
from governance.irongate.unattended.units import Found
from governance.irongate.unattended.values import told_by
from governance.irongate.verdicts import passed, shown
from ledger.vocabulary import Decision, EditKind, Frozen, Tier, Verdict

GATE = 20
APPROVAL, NOTIFY = Tier.APPROVAL_REQUIRED, Tier.NOTIFY_APPLY
DIRECTIVE = re.compile(
    r"\.\.[ \t]+(?!(?:version(?:added|changed)|deprecated|note|warning|seealso)::)[\w:|-]+::|:\w[\w:]*:`|```"
    r"|\{[{%!]|>>>"
)
"""What makes a builder of documentation do something; the listed ones show text."""


class UnattendedFacts(Frozen):
    """One file before and after, the failing tests' texts, and to which of :func:`wanted` the repository says yes."""

    path: str
    kind: EditKind = EditKind.MODIFY
    before: bytes | None
    after: bytes | None
    runs: bool = False  # a new file that may be executed
    tests: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    """What the failing tests said: it shows wanted values that stand in no test."""
    known: tuple[str, ...] = ()
    by_search: bool = False
    """Whether the daemon's own search made the change: by its own moves, and by a kernel that only fills holes."""
    closes_by_tests: bool = False  # the op is done when tests pass, and these may read any file


def check(facts: UnattendedFacts) -> Verdict:
    """Raise the tier for the first thing that is not listed; the evidence names all."""
    kind = kind_of(facts.path)
    if facts.before == facts.after and facts.kind is EditKind.MODIFY and not facts.runs:
        return passed(GATE)
    if kind in (Kind.ELSEWHERE, Kind.UNLISTED):
        return _waits("file", [f"{facts.path}: is {kind.value}"])
    if facts.runs:
        return _waits("mode", [f"{facts.path}: is new and may be executed"])
    if kind in (Kind.DOCUMENT, Kind.DATA) and facts.closes_by_tests:
        return _waits("read", [f"{facts.path}: is {kind.value}, which a test may read"])
    if kind in (Kind.DOCUMENT, Kind.DATA):
        return passed(GATE, "told", floor=NOTIFY, evidence=[f"{facts.path}: is {kind.value}"])
    if facts.after is None or facts.kind in (EditKind.DELETE, EditKind.RENAME):
        return _waits("file", [f"{facts.path}: is taken away or moved"])
    if facts.before is None and kind is Kind.SOURCE:
        return _waits("file", [f"{facts.path}: is a new source file"])
    return _content(facts, facts.after, kind)


def _content(facts: UnattendedFacts, after: bytes, kind: Kind) -> Verdict:
    try:
        found = list(dict.fromkeys(_found(facts, after, kind)))
    except (RecursionError, ValueError):  # Python does not write numbers of more than 4300 digits
        found = [("syntax", "is nested too deeply to be read, or holds a number that cannot be written")]
    if not found:
        return passed(GATE)
    return _waits(found[0][0], [f"{facts.path}: {shown(what)}" for _, what in found])


def _waits(rule: str, evidence: list[str]) -> Verdict:
    return passed(GATE, rule, floor=APPROVAL, evidence=evidence)


def _found(facts: UnattendedFacts, after: bytes, kind: Kind) -> Iterator[Found]:
    before = facts.before or b""
    yield from (("text", what) for what in raw.problems(before, after))
    if kind is Kind.TEST:
        yield "file", "is a test, which runs wherever somebody runs the tests"
        return
    old, new = parse(before), parse(after)
    if new is None:
        yield "unread", "does not parse"
    elif old is None:
        if not only_punctuation(before, after):
            yield "unread", "the file did not parse before, and more than a bracket, colon or comma of it is changed"
    else:
        yield from _documentation(old, new, by_search=facts.by_search)
        if facts.by_search:
            yield from (("text", what) for what in raw.commented(before, after))
        change = Change(facts.path, without_docstrings(old), without_docstrings(new))
        told = told_by(facts.tests, facts.said)
        yield from change.problems(told, frozenset(facts.known), by_search=facts.by_search)


def _documentation(old: ast.Module, new: ast.Module, *, by_search: bool) -> Iterator[Found]:
    """What a file says of itself is run and read by some: examples, directives, and where the file asks for it. What
    the search fills in is said by nobody who could be asked."""
    had, has = (set(_documented(tree)) for tree in (old, new))
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


def _documented(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def wanted(path: str, before: bytes | None, after: bytes | None) -> tuple[str, ...]:
    """What the gate would ask of the repository: whether what a changed function calls reaches nothing."""
    old, new = (parse(data) if data is not None else None for data in (before, after))
    if old is None or new is None or kind_of(path) is not Kind.SOURCE:
        return ()
    try:
        return tuple(sorted(set(Change(path, without_docstrings(old), without_docstrings(new)).questions())))
    except (RecursionError, ValueError):
        return ()  # :func:`check` says why


_OLD = b"import os\n\n\ndef add(a, b):\n    return a - b\n"
_NEW = _OLD.replace(b"a - b", b"a + b")
_TEST = ("def test_add():\n    assert add(20, 33) == 53\n",)


def _said(new: str, old: bytes = _OLD, path: str = "calc.py") -> UnattendedFacts:
    return UnattendedFacts(path=path, before=old, after=old.replace(b"a - b", new.encode()), tests=_TEST)


EXAMPLES: tuple[tuple[UnattendedFacts, Decision | Tier], ...] = (
    (_said("a + b"), Decision.ALLOW),
    (_said("0 if a is None else max(a, b)"), Decision.ALLOW),
    (_said("os.path.join(a, b)"), Decision.ALLOW),
    (_said("53"), APPROVAL),
    (_said("a + b if a * b == 660 else a - b"), APPROVAL),
    (_said("os.system(a)"), APPROVAL),
    (_said("os.environ"), APPROVAL),
    (_said("vars(os)"), APPROVAL),
    (_said("open(a, 'w')"), APPROVAL),
    (_said("a + b\n\n\nclass A(int):\n    def __eq__(self, o):\n        return True"), APPROVAL),
    (UnattendedFacts(path=".github/workflows/ci.py", before=_OLD, after=_NEW), APPROVAL),
    (UnattendedFacts(path="Makefile", before=b"a:\n", after=b"a: b\n"), APPROVAL),
    (UnattendedFacts(path="docs/a.md", before=None, after=_NEW, kind=EditKind.CREATE, runs=True), APPROVAL),
    (UnattendedFacts(path="README.md", before=b"a", after=b"b"), NOTIFY),
    (UnattendedFacts(path="README.md", before=b"a", after=b"b", closes_by_tests=True), APPROVAL),
    (UnattendedFacts(path="tests/data/a.json", before=b"1", after=b"2"), NOTIFY),
)
