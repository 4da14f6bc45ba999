"""Which variants may be tried in a program that is loaded already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from governance.repair.failure_context import FailureContext
from governance.repair.ranking import Variant
from governance.repair.spans import ParsedFile, insert_after, insert_before, replace_line
from governance.repair.variant_runner import can_be_screened, changes_of, fit, reached
from ledger.vocabulary import Outcome, TestResult
from tests.governance.repair.test_cloze import PATH, scene
from tools.testing.report.verdict import TIME_LIMIT

TEXT = """\
LOW = 1

def total(a, b=2):
    subtotal = a
    return subtotal + b

def used_at_import(a):
    return a

class Till:
    rate = used_at_import(3)
    @property
    def size(self):
        return self.rate
"""
IMPORTED = (1, 3, 7, 8, 10, 11, 12, 13)


def with_text() -> FailureContext:
    known = scene()
    base = known.base.model_copy(update={"coverage": {"": {PATH: IMPORTED}}})
    return replace(known, sources={PATH: ParsedFile(TEXT)}, base=base, originals={PATH: TEXT.encode()})


def at(line: int, text: str = "pass") -> Variant:
    return Variant(path=PATH, base=TEXT, span=replace_line(ParsedFile(TEXT), line), text=text)


def test_what_ran_while_it_was_imported_or_is_no_body_is_left_out() -> None:
    lines = [1, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14]
    assert [lines[number] for number in fit(with_text(), [at(line) for line in lines])] == [4, 5, 14]
    bare = with_text()
    unknown = replace(bare, base=bare.base.model_copy(update={"coverage": {}}))
    assert fit(unknown, [at(4)]) == ()  # nobody knows what ran


def test_inserted_lines() -> None:
    source = ParsedFile(TEXT)
    inside = [insert_before(source, 4), insert_after(source, 4), insert_after(source, 5), insert_after(source, 3)]
    outside = [insert_before(source, 3), insert_before(source, 13), insert_after(source, 1)]
    variants = [Variant(path=PATH, base=TEXT, span=span, text="pass") for span in [*inside, *outside]]
    assert fit(with_text(), variants) == (0, 1, 2)  # what is beside a line that ran at import is not told apart from it
    (edit,) = changes_of(with_text(), variants[2:3]).edits
    assert TEXT[: edit[1]] + edit[3] + TEXT[edit[2] :] == variants[2].source


def test_which_tests_a_change_can_reach() -> None:
    ids = tuple(f"tests/test_cart.py::test_{name}" for name in ("total", "size", "other", "sum"))
    coverage = {"": {PATH: IMPORTED}, ids[1]: {PATH: (14,)}, ids[3]: {PATH: (5,)}, ids[2]: {"shop/other.py": (4,)}}
    results = tuple(TestResult(id=test, outcome=Outcome.PASSED) for test in ids[1:])
    base = with_text().base
    base = base.model_copy(update={"coverage": coverage, "collected": ids, "results": (*base.results, *results)})
    scene = replace(with_text(), base=base)
    assert reached(scene, at(4)) == (ids[0], ids[3])  # what failed, and what ran the function
    assert reached(scene, at(14)) == (ids[0], ids[1])
    cut = replace(scene, base=base.model_copy(update={"cut": (ids[2],)}))
    assert reached(cut, at(4)) == (ids[0], ids[2], ids[3])  # and what may have run it behind the lines that were seen
    assert reached(scene, at(1)) is None and reached(scene, at(8)) is None  # it stands in memory since the import


@pytest.mark.parametrize(
    ("result", "fits"),
    [
        (TestResult(id="tests/test_a.py::test_b", outcome=Outcome.FAILED), True),
        (TestResult(id="tests/test_a.py", outcome=Outcome.ERROR), False),
        (TestResult(id="tests/test_a.py::test_b", outcome=Outcome.FAILED, exception=TIME_LIMIT), False),
    ],
)
def test_tests_that_end(result: TestResult, fits: bool) -> None:
    assert can_be_screened([result]) is fits
