"""Gate 16, test integrity: a repair may not silence what it was called for.

Denied: a change of the failing test's own file that could make it prove less; program code that skips or ends a test.
Needs a person's yes: any other change of a test that is there, whatever it adds (what is judged does not judge itself),
fixtures and test data, sources that serve tests, runner configuration; program code that asks for a value which the
failing test gives, catches nearly everything, or uses the runner's library from now on. Shown before it is applied: new
files of tests, a literal of the failing test in the program, an exception that is caught from now on, values or
statements that a repair takes away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.paths import (
    is_named_test,
    is_python,
    is_runner_file,
    is_shared_config,
    is_test_module,
    is_test_path,
)
from governance.irongate.test_code.diff import find_weakened
from governance.irongate.test_code.doctests import find_lost_examples, object_of
from governance.irongate.test_code.shortcuts import (
    find_copied_literals,
    find_handlers_of,
    find_new_handlers,
    find_removed,
    find_runner_use,
    find_special_cases,
    find_test_skips,
)
from governance.irongate.test_code.support import is_support
from governance.irongate.verdicts import denied, passed, shown
from governance.irongate.versions import versions
from ledger.parsers import UnreadableText
from ledger.parsers.ini import DEFAULTS, read_ini
from ledger.parsers.toml import read_toml
from ledger.vocabulary import Decision, Frozen, Tier, Verdict

NUMBER = 16
INI_SECTIONS = ("pytest", "tool:pytest", "coverage:run", "tox", "testenv")
TOML_TABLES = ("pytest", "coverage", "tox", "hatch", "nox", "unittest")


class ChangedTestFacts(Frozen):
    """One file before and after (``old_path``: where it was, when it moved), and the files of the failing tests."""

    path: str
    before: bytes | None
    after: bytes | None
    failing: tuple[str, ...] = ()
    documented: tuple[str, ...] = ()  # those of them in which doctests fail and nothing else
    old_path: str | None = None
    tests: tuple[str, ...] = ()  # the sources of the failing tests
    raised: tuple[str, ...] = ()  # the exceptions that they failed with


def check(facts: ChangedTestFacts) -> Verdict:
    """Deny for the failing test's file, raise the tier for other tests and for what steers them."""
    paths = {facts.path, facts.old_path or facts.path}
    moved = len(paths) > 1
    if facts.before == facts.after and not moved:
        return passed(NUMBER)
    guarded = sorted(paths.intersection(facts.failing))
    if guarded and facts.before is not None:
        found = ("the file is moved away",) if moved else _find_weaker_in_failing_test(facts, facts.before)
        if found:
            reason = f"The failing test's own file {shown(guarded[0])} may prove less after the change: {found[0]}."
            return denied(NUMBER, "failing_test_weakened", reason, evidence=found, floor=Tier.APPROVAL_REQUIRED)
    return _check_other_files(facts, paths, moved)


def _check_other_files(facts: ChangedTestFacts, paths: set[str], moved: bool) -> Verdict:
    approval = Tier.APPROVAL_REQUIRED
    if any(is_runner_file(path) for path in paths):
        return passed(NUMBER, "runner_changed", floor=approval, evidence=sorted(paths))
    if any(is_shared_config(path) for path in paths) and _changes_runner_section(facts):
        return passed(NUMBER, "runner_changed", floor=approval, evidence=sorted(paths))
    plain = paths.intersection(facts.failing).difference(facts.documented)
    if not plain and not any(is_test_path(path) for path in paths):
        return _check_program(facts)
    found = ("the file is moved",) if moved else _find_weaker(facts)
    if found:
        return passed(NUMBER, "test_weakened", floor=approval, evidence=[f"{facts.path}: {phrase}" for phrase in found])
    if facts.before is not None:  # what is judged does not judge itself, even where it seems to gain only
        return passed(NUMBER, "test_changed", floor=approval, evidence=(facts.path,))
    return passed(NUMBER, "test_added", floor=Tier.NOTIFY_APPLY, evidence=(facts.path,))


def _check_program(facts: ChangedTestFacts) -> Verdict:
    """The code that is tested: does it get round the test?"""
    verdict = _check_program_code(facts)
    serves = is_support(facts.path, facts.before, facts.after)
    if serves and verdict.decision is Decision.ALLOW and verdict.floor != Tier.APPROVAL_REQUIRED:
        return passed(NUMBER, "support_changed", floor=Tier.APPROVAL_REQUIRED, evidence=[f"{facts.path}: serves tests"])
    return verdict


def _check_program_code(facts: ChangedTestFacts) -> Verdict:
    compared = versions(NUMBER, facts.path, facts.before, facts.after)
    if isinstance(compared, Verdict):
        return compared
    before, after = compared
    skipping = find_test_skips(before, after)
    if skipping:
        reason = f"The program would skip or end its own test: {facts.path} uses {shown(skipping[0])}."
        return denied(NUMBER, "skips_from_inside", reason, evidence=skipping, floor=Tier.APPROVAL_REQUIRED)
    runners = find_runner_use(before, after)
    if runners:
        evidence = [f"{facts.path}: uses {name}, and did not before" for name in runners]
        return passed(NUMBER, "runner_in_program", floor=Tier.APPROVAL_REQUIRED, evidence=evidence)
    asked = find_special_cases(before, after, facts.tests)
    if asked:
        evidence = [f"{facts.path}: asks for {value}" for value in asked]
        return passed(NUMBER, "special_case", floor=Tier.APPROVAL_REQUIRED, evidence=evidence)
    caught = find_new_handlers(before, after)
    if any(broad for _, broad in caught):
        evidence = [f"{facts.path}: catches {what}" for what, broad in caught if broad]
        return passed(NUMBER, "catches_everything", floor=Tier.APPROVAL_REQUIRED, evidence=evidence)
    if caught:
        evidence = [f"{facts.path}: catches {what}" for what, _ in caught]
        return passed(NUMBER, "catches", floor=Tier.NOTIFY_APPLY, evidence=evidence)
    hidden = find_handlers_of(before, after, facts.raised)
    if hidden:
        evidence = [f"{facts.path}: catches {what}, with which the test fails" for what in hidden]
        return passed(NUMBER, "catches_what_failed", floor=Tier.NOTIFY_APPLY, evidence=evidence)
    values = find_copied_literals(before, after, facts.tests)
    if values:
        evidence = [f"{facts.path}: {value}" for value in values]
        return passed(NUMBER, "literal_of_the_test", floor=Tier.NOTIFY_APPLY, evidence=evidence)
    gone = find_removed(before, after) if facts.failing else ()
    if gone:
        evidence = [f"{facts.path}: {what} is gone" for what in gone]
        return passed(NUMBER, "takes_away", floor=Tier.NOTIFY_APPLY, evidence=evidence)
    return passed(NUMBER)


def _find_weaker(facts: ChangedTestFacts) -> tuple[str, ...]:
    if facts.before is None:
        return _find_effects_of_new_file(facts)
    if is_test_module(facts.path) or facts.path.endswith(".py"):
        return find_weakened(facts.before, facts.after)
    return ("test data is changed",)


def _find_weaker_in_failing_test(facts: ChangedTestFacts, before: bytes) -> tuple[str, ...]:
    """The failing test's own file. Of a program's file that is one by its doctests, these have to stay."""
    if facts.path not in facts.documented:
        return _find_weaker(facts)
    lost = tuple(f"examples of {name} are changed" for name in find_lost_examples(before, facts.after))
    is_program = facts.after is not None and not is_test_path(facts.path)
    return lost if is_program else (*_find_weaker(facts), *lost)


def _find_effects_of_new_file(facts: ChangedTestFacts) -> tuple[str, ...]:
    """What a new file beside the tests can do to those that are there."""
    if not is_python(facts.path):
        return ()
    if not is_named_test(facts.path):
        # A helper may take the place of the module under test: the folder of a test comes first on the import path.
        # An empty __init__.py changes which folder that is.
        return ("a new module stands beside the tests",)
    return find_weakened(b"", facts.after)


def _changes_runner_section(facts: ChangedTestFacts) -> bool:
    """Whether the part of a shared configuration file that steers the runner is another one now."""
    old, new = _runner_section(facts.path, facts.before), _runner_section(facts.path, facts.after)
    return old is None or new is None or old != new


def _runner_section(path: str, data: bytes | None) -> object | None:
    """The runner's part of a configuration file; None when the file cannot be read."""
    if data is None:
        return {}
    try:
        text = data.decode("utf-8")
        if path.endswith(".toml"):
            tool: object = read_toml(text).get("tool", {})
            return {k: tool[k] for k in TOML_TABLES if k in tool} if isinstance(tool, Mapping) else None
        sections = read_ini(text)
    except (UnicodeDecodeError, UnreadableText):
        return None
    return {
        name: values
        for name, values in sections.items()
        if name.split(":")[0] in INI_SECTIONS or name in (*INI_SECTIONS, DEFAULTS)
    }


def select_facts(inspection: Inspection) -> Iterator[ChangedTestFacts]:
    """One item for each edit."""
    test_ids = inspection.op.test_ids
    failing = tuple(dict.fromkeys(test_id.split("::", 1)[0] for test_id in test_ids))
    plain = {test_id.split("::", 1)[0] for test_id in test_ids if object_of(test_id) is None}
    for edit in inspection.candidate.edits:
        yield ChangedTestFacts(
            path=edit.path,
            before=inspection.before(edit),
            after=edit.after,
            failing=failing,
            documented=tuple(path for path in failing if path not in plain),
            old_path=edit.renamed_from,
            tests=inspection.tests,
            raised=inspection.raised,
        )


_TEST = b"def test_a():\n    assert f(1) == 2\n"
_MORE = _TEST + b"\n\ndef test_b():\n    assert f(2) == 3\n"
_LESS = b"def test_a():\n    assert f(1) == 3\n"
_CODE = b"def f(x):\n    return g(x)\n"
_SPECIAL = b"def f(x):\n    if x == 41:\n        return 42\n    return g(x)\n"
_CATCH = b"def f(x):\n    try:\n        return g(x)\n    except KeyError:\n        return 0\n"
_TABLE = b"T = {'new': 'begun', 'begun': 'done', 'done': None}\n"
_DOC = b'def f(x):\n    """\n    >>> f(1)\n    2\n    """\n    return x\n'
_MENDED = _DOC.replace(b"return x", b"return x + 1")
_41 = ("def test_a():\n    assert f(41) == 42\n",)

EXAMPLES: tuple[tuple[ChangedTestFacts, Decision], ...] = (
    (ChangedTestFacts(path="src/a.py", before=b"x = 1\n", after=b"x = 2\n"), Decision.ALLOW),
    (ChangedTestFacts(path="tests/test_a.py", before=_TEST, after=_LESS), Decision.ALLOW),
    (ChangedTestFacts(path="tests/test_a.py", before=_TEST, after=_LESS, failing=("tests/test_a.py",)), Decision.DENY),
    (ChangedTestFacts(path="tests/test_a.py", before=_TEST, after=None, failing=("tests/test_a.py",)), Decision.DENY),
    (ChangedTestFacts(path="tests/test_a.py", before=_TEST, after=_MORE, failing=("tests/test_a.py",)), Decision.ALLOW),
    (
        ChangedTestFacts(path="b.py", old_path="test_a.py", before=_TEST, after=_TEST, failing=("test_a.py",)),
        Decision.DENY,
    ),
    (ChangedTestFacts(path="a.py", before=_DOC, after=_MENDED, failing=("a.py",)), Decision.DENY),
    (
        ChangedTestFacts(path="a.py", before=_DOC, after=_MENDED, failing=("a.py",), documented=("a.py",)),
        Decision.ALLOW,
    ),
    (
        ChangedTestFacts(
            path="a.py", before=_DOC, after=_DOC.replace(b"2", b"1"), failing=("a.py",), documented=("a.py",)
        ),
        Decision.DENY,
    ),
    (ChangedTestFacts(path="a.py", before=_CODE, after=b"import pytest\npytest.skip('x')\n" + _CODE), Decision.DENY),
)
FLOORS: tuple[tuple[ChangedTestFacts, Tier | None], ...] = (
    (ChangedTestFacts(path="src/a.py", before=b"x = 1\n", after=b"x = 2\n"), None),
    (ChangedTestFacts(path="tests/test_a.py", before=_TEST, after=_MORE), Tier.APPROVAL_REQUIRED),
    (ChangedTestFacts(path="tests/test_n.py", before=None, after=_TEST), Tier.NOTIFY_APPLY),
    (ChangedTestFacts(path="tests/test_a.py", before=_TEST, after=_LESS), Tier.APPROVAL_REQUIRED),
    (ChangedTestFacts(path="tests/data.json", before=b"1", after=b"2"), Tier.APPROVAL_REQUIRED),
    (ChangedTestFacts(path="conftest.py", before=None, after=b"x = 1\n"), Tier.APPROVAL_REQUIRED),
    (ChangedTestFacts(path="pyproject.toml", before=b"[project]\nname='a'\n", after=b"[project]\nname='b'\n"), None),
    (ChangedTestFacts(path="pyproject.toml", before=b"", after=b"[tool.pytest.ini_options]\n"), Tier.APPROVAL_REQUIRED),
    (ChangedTestFacts(path="a.py", before=_CODE, after=_SPECIAL, tests=_41), Tier.APPROVAL_REQUIRED),
    (ChangedTestFacts(path="a.py", before=_CODE, after=_SPECIAL), None),
    (ChangedTestFacts(path="a.py", before=_CODE, after=_CODE + b"ANSWER = 42\n", tests=_41), Tier.NOTIFY_APPLY),
    (ChangedTestFacts(path="a.py", before=_CODE, after=_CATCH), Tier.NOTIFY_APPLY),
    (
        ChangedTestFacts(path="a.py", before=_TABLE, after=b"T = {'new': 'begun'}\n", failing=("test_a.py",)),
        Tier.NOTIFY_APPLY,
    ),
    (
        ChangedTestFacts(path="a.py", before=_TABLE, after=_TABLE.replace(b"None", b"'new'"), failing=("test_a.py",)),
        None,
    ),
    (ChangedTestFacts(path="a.py", before=_CODE, after=_CATCH.replace(b" KeyError", b"")), Tier.APPROVAL_REQUIRED),
)
GATE = Gate(
    number=NUMBER,
    name="test integrity",
    summary="a weaker failing test, programs that skip it; raises: other tests, runner files, special cases for tests",
    subjects=(Subject.CANDIDATE,),
    facts=ChangedTestFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
