"""What a failing statement looks at, and where that comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ledger.vocabulary import Frame, Outcome, RunStatus, TestResult, TestRun
from tools.testing.localisation.flow import STEPS, trace_values
from tools.testing.localisation.ranking import rank

SHOP = """\
class Cart:
    def __init__(self, prices):
        self.prices = list(prices)
        self.log = []

    def discount(self):
        self.log.append("asked")
        return len(self.prices)

    def total(self):
        seen = 0
        seen += 1
        found = sum(self.prices)
        if not found:
            return 0
        return rounded(found - self.discount())


def rounded(amount):
    print(amount)
    cents = amount * 100
    return int(cents) / 100


def unasked():
    return 5
"""
TEST = """\
from shop import Cart, unasked


def test_total():
    other = unasked()
    cart = Cart([1, 2])
    assert cart.total() == 4
"""
FILES = {"shop.py": SHOP.encode(), "test_shop.py": TEST.encode()}
TREES = {path: ast.parse(text) for path, text in FILES.items()}
ALL = frozenset(range(1, 40))
COVERAGE = {"t": dict.fromkeys(FILES, ALL)}


def line_of(text: str, of: str = SHOP) -> int:
    return of[: of.index(text)].count("\n") + 1


def failed(frames: Iterable[tuple[str, int]]) -> TestResult:
    return TestResult(
        id="t", outcome=Outcome.FAILED, frames=tuple(Frame(path=p, line=n, function="") for p, n in frames)
    )


RED = failed([("test_shop.py", line_of("assert", TEST))])


def test_what_an_assertion_looks_at_is_followed_through_calls() -> None:
    found = {line: steps for (path, line), steps in trace_values([RED], COVERAGE, TREES).items() if path == "shop.py"}
    connected = ["self.prices = list", "found = sum", "if not found", "return 0", "return rounded"]
    assert all(found[line_of(text)] == 1 for text in connected[1:])
    assert found[line_of("return len(self")] == found[line_of("cents =")] == 2
    assert line_of(connected[0]) in found
    for text in ("seen = 0", "seen += 1", "return 5"):  # they ran, and nothing that was looked at comes from them
        assert line_of(text) not in found, text


def test_lines_that_did_not_run_are_left_out() -> None:
    ran = {"t": {"shop.py": (line_of("found = sum"),), "test_shop.py": tuple(ALL)}}
    found = {place for place in trace_values([RED], ran, TREES) if place[0] == "shop.py"}
    assert found == {("shop.py", line_of("found = sum"))}


def test_an_error_is_followed_from_where_it_broke() -> None:
    """Of the function that broke only what led there; of the one above only what it handed on."""
    broke = failed([("test_shop.py", line_of("assert", TEST)), ("shop.py", line_of("cents ="))])
    lines = {line for path, line in trace_values([broke], COVERAGE, TREES) if path == "shop.py"}
    assert line_of("cents =") in lines


def test_the_deeper_of_two_lines_that_all_failing_tests_ran_comes_first() -> None:
    run = TestRun(status=RunStatus.RED, results=(RED,), coverage=COVERAGE)
    ranked = [(s.path, s.line) for s in rank(run, ["t"], files=FILES)]
    plain = [(s.path, s.line) for s in rank(run, ["t"])]
    deep, shallow, idle = (("shop.py", line_of(text)) for text in ("cents =", "found = sum", "seen = 0"))
    assert ranked.index(deep) < ranked.index(shallow) < ranked.index(idle)
    assert plain.index(idle) < plain.index(deep)  # what ran them says nothing here


def test_what_calls_itself_and_files_that_do_not_parse_come_to_an_end() -> None:
    text = "def f(n):\n    m = g(n)\n    return m\n\n\ndef g(n):\n    return f(n - 1)\n"
    files = {"a.py": text.encode(), "t.py": b"def test():\n    assert f(1)\n", "broken.py": b"def ("}
    red = failed([("t.py", 2), ("broken.py", 1), ("gone.py", 3)])
    coverage = {"t": dict.fromkeys(files, ALL)}
    assert rank(TestRun(status=RunStatus.RED, results=(red,), coverage=coverage), ["t"], files=files)
    trees = {path: ast.parse(text) for path, text in files.items() if path != "broken.py"}
    found = trace_values([red], coverage, trees)
    assert {line for path, line in found if path == "a.py"} == {2, 3, 7}
    assert max(found.values()) <= STEPS
