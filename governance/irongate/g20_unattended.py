"""Gate 20, the allow-list for changes without a person: what lands with nobody there is made of what is listed here.

Listed are files whose tests the daemon runs, and of what a change adds to them: literals that no failing test gives
away, names, attributes and imports that the file or the repository uses, harmless builtins and standard names, control
flow. What a file held before and keeps does not count. All else waits for a person; documentation and test data are
told, and wait where the op is done when tests pass: a test may read them. The gate refuses nothing.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from governance.irongate import lines
from governance.irongate.syntax import parse
from governance.irongate.unattended import raw
from governance.irongate.unattended.classes import changes_deciding
from governance.irongate.unattended.files import Kind, kind_of
from governance.irongate.unattended.judge import Judge
from governance.irongate.unattended.names import Names, absolute, attributes, imported, stores
from governance.irongate.unattended.raw import only_punctuation
from governance.irongate.unattended.statements import definitions, imports_of, steps
from governance.irongate.unattended.units import Added, Function, added, differing, fingerprint, functions, untouched
from governance.irongate.unattended.values import constant_names, constants, documentation, told_by
from governance.irongate.unattended.whole import Whole, asked
from governance.irongate.verdicts import passed, shown
from ledger.vocabulary import Decision, EditKind, Frozen, Tier, Verdict

GATE = 20
APPROVAL, NOTIFY = Tier.APPROVAL_REQUIRED, Tier.NOTIFY_APPLY


class Facts(Frozen):
    """One file before and after, the failing tests' texts, and what of :func:`wanted` the repository uses elsewhere."""

    path: str
    kind: EditKind = EditKind.MODIFY
    before: bytes | None
    after: bytes | None
    runs: bool = False  # a new file that may be executed
    tests: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    """What the failing tests said: it shows wanted values that stand in no test."""
    known: tuple[str, ...] = ()
    closes_by_tests: bool = False  # the op is done when tests pass, and these may read any file


def check(facts: Facts) -> Verdict:
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


def _content(facts: Facts, after: bytes, kind: Kind) -> Verdict:
    try:
        found = list(dict.fromkeys(_found(facts, after, kind)))
    except RecursionError:
        found = [("syntax", "is nested too deeply to be read")]
    if not found:
        return passed(GATE)
    return _waits(found[0][0], [f"{facts.path}: {shown(what)}" for _, what in found])


def _waits(rule: str, evidence: list[str]) -> Verdict:
    return passed(GATE, rule, floor=APPROVAL, evidence=evidence)


def _found(facts: Facts, after: bytes, kind: Kind) -> Iterator[tuple[str, str]]:
    before = facts.before or b""
    yield from (("text", what) for what in raw.problems(before, after))
    new = parse(after)
    if new is None:
        yield "unread", "does not parse"
        return
    old = _before(before, after, new)
    names = Names(old, new, frozenset(facts.known))
    additions = _additions(before, after, old, new)
    yield from _twice(old, new)
    yield from _generators(old, new)
    is_test = kind is Kind.TEST
    judge = Judge(
        names, told_by(facts.tests, facts.said), is_test=is_test, literals=frozenset(constants(old)),
        documented=documentation(old), constant=_constant(additions, old), rebound=_rebound(additions),
    )  # fmt: skip
    if parse(before) is None and not only_punctuation(before, after):
        yield "unread", "the file did not parse before, and more than its punctuation is changed"
    for one in additions:
        yield from imports_of(one, names, facts.path, is_test=is_test)
        yield from definitions(one, names, is_test=is_test)
        yield from steps(one, names)
        yield from _special_scope(one)
        yield from judge.of(one, asked=_asks(one.unit.node))
    yield from Whole(names, additions, facts.known, is_test=is_test).found()


def _additions(before: bytes, after: bytes, old: ast.Module, new: ast.Module) -> list[Added]:
    return added(*differing(old, new, before, after)) if parse(before) else added(old, new)


def _before(before: bytes, after: bytes, new: ast.Module) -> ast.Module:
    """The file before; where that does not parse, what of the new one stands on lines that were there."""
    known = parse(before)
    if known is None and re.search(rb"\r(?!\n)", after):
        return ast.Module(body=[], type_ignores=[])  # lines are counted in two ways
    return known or untouched(new, frozenset(line.number for line in lines.added(before, after)))


def _constant(additions: list[Added], old: ast.Module) -> dict[str, frozenset[str]]:
    """By function: new names in it that stand for what is made of literals alone."""
    before = dict(functions(old))
    steps_in: dict[str, list[ast.AST]] = {}
    for one in additions:
        steps_in.setdefault(one.unit.scope, []).append(one.unit.node)
    return {
        scope: constant_names(nodes) - frozenset(stores([before[scope]] if scope in before else []))
        for scope, nodes in steps_in.items()
    }


def _rebound(additions: list[Added]) -> frozenset[tuple[str, str]]:
    """Functions and the names in them that the additions bind, but for comprehensions that stay."""
    found: set[tuple[str, str]] = set()
    for one in additions:
        had = [
            node.target
            for part in one.unit.parts()
            for node in ast.walk(part)
            if isinstance(node, ast.comprehension) and fingerprint(node) in one.kept
        ]
        names = Counter(stores(one.unit.parts())) - Counter(stores(had))
        found |= {(one.unit.scope, name) for name in names}
    return frozenset(found)


def _special_scope(one: Added) -> Iterator[tuple[str, str]]:
    """A change in the body of a method that decides comparison or runs unseen."""
    yield from (("special_method", f"changes {name}") for name in changes_deciding(one))


def _twice(old: ast.Module, new: ast.Module) -> Iterator[tuple[str, str]]:
    """A function or class that is defined again takes the place of the one that was judged."""
    before, after = (Counter(name for name, _ in functions(tree)) for tree in (old, new))
    for name, count in after.items():
        if count > max(before[name], 1):
            yield "definition", f"defines {name} again"


def _generators(old: ast.Module, new: ast.Module) -> Iterator[tuple[str, str]]:
    """A function that becomes a generator answers with an object that is always true."""
    before = dict(functions(old))
    for name, node in functions(new):
        if name in before and _yields(node) and not _yields(before[name]):
            yield "async", f"makes {name} a generator"


def _yields(function: Function) -> bool:
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            left += ast.iter_child_nodes(node)
    return False


def _asks(node: ast.AST) -> bool:
    return isinstance(node, ast.If | ast.While | ast.match_case)


def wanted(path: str, before: bytes | None, after: bytes | None) -> tuple[str, ...]:
    """What the gate would ask of the repository: imports (``module:name``) and attributes (``.name``) that are new."""
    new = parse(after) if after is not None else None
    if new is None or after is None or kind_of(path) not in (Kind.SOURCE, Kind.TEST):
        return ()
    old = _before(before or b"", after, new)
    names = Names(old, new, frozenset())
    said = {
        f"{absolute(path, m)}{dot}{n}" for m, dot, n in (one.partition(":") for one in imported(new) - imported(old))
    }
    unknown = {f".{name}" for name in attributes(new) - names.attributes if not names.knows_attribute(name)}
    return tuple(sorted(said | unknown | set(asked(names, _additions(before or b"", after, old, new)))))


_OLD = b"import os\n\n\ndef add(a, b):\n    return a - b\n"
_NEW = _OLD.replace(b"a - b", b"a + b")
_TEST = ("def test_add():\n    assert add(20, 33) == 53\n",)


def _said(new: str, old: bytes = _OLD, path: str = "calc.py") -> Facts:
    return Facts(path=path, before=old, after=old.replace(b"a - b", new.encode()), tests=_TEST)


EXAMPLES: tuple[tuple[Facts, Decision | Tier], ...] = (
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
    (Facts(path=".github/workflows/ci.py", before=_OLD, after=_NEW), APPROVAL),
    (Facts(path="Makefile", before=b"a:\n", after=b"a: b\n"), APPROVAL),
    (Facts(path="docs/a.md", before=None, after=_NEW, kind=EditKind.CREATE, runs=True), APPROVAL),
    (Facts(path="README.md", before=b"a", after=b"b"), NOTIFY),
    (Facts(path="README.md", before=b"a", after=b"b", closes_by_tests=True), APPROVAL),
    (Facts(path="tests/data/a.json", before=b"1", after=b"2"), NOTIFY),
)
