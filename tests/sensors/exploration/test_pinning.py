"""Which small changes are made of a function, and when its tests hold it fast."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.vocabulary import Outcome, RunStatus, SymbolPinned, TestResult, TestRun
from sensors.exploration.pinning import MAX_MUTANTS, mutants_of, pinned_answer
from sensors.python_source.docstrings import public_symbols

RATE = "def rate(days, base):\n    if days > 7 and base:\n        return base * 2\n    return base + days\n"
OTHER = "é = 'ä'\n\n\ndef nothing(x):\n    print(f'{x + 1} ä')\n    return None\n"


def changed(text: str, symbol: str) -> list[str]:
    return [mutant.what for mutant in mutants_of(text.encode(), symbol)]


def test_a_result_is_changed_first_then_what_leads_to_it() -> None:
    assert changed(RATE, "rate") == [
        "`None` for `base * 2` in line 3",
        "`None` for `base + days` in line 4",
        "`base + 2` for `base * 2` in line 3",
    ]
    (_, _, third) = mutants_of(RATE.encode(), "rate")
    assert third.data.decode() == RATE.replace("base * 2", "(base + 2)")


@pytest.mark.parametrize(
    "text",
    [OTHER, "def nothing(x):\n    x.append(1 + 1)\n", "x = 1\n", "def nothing(:\n", RATE * 2, "class nothing: pass\n"],
)
def test_what_has_no_result_cannot_be_held_fast(text: str) -> None:
    assert mutants_of(text.encode(), "nothing" if "nothing" in text else "rate") == ()


def test_places_are_counted_in_bytes_and_texts_with_holes_left_alone() -> None:
    text = "def f(x):\n    y = 'äöü' + x; return f'{y + y}' + ('ß' + y)\n"
    for mutant in mutants_of(text.encode(), "f"):
        assert (ast.parse(mutant.data) and b"{y + y}" in mutant.data) or b"None" in mutant.data
    assert mutants_of(text.encode(), "f")


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "1", "'é'", "f'{a + b}'", "a(b)"]),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "*", "and", "==", "<", "in"]), inner).map(
        lambda parts: f"({parts[0]} {parts[1]}\n        {parts[2]})"
    ),
    max_leaves=8,
)


@given(st.lists(EXPRESSIONS, min_size=1, max_size=4))
def test_every_change_is_one_change_of_that_function(expressions: list[str]) -> None:
    lines = [f"    if {each}:\n        return {each}\n" for each in expressions]
    around = "# ä\ndef before(a):\n    return a + 1\n\n\n{}\n\ndef after(a):\n    return a + 1\n"
    text = around.replace("{}", f"def f(a, b):\n{''.join(lines)}")
    found = mutants_of(text.encode(), "f")
    assert 1 <= len(found) <= MAX_MUTANTS
    whole = {node.name: ast.dump(node) for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    for mutant in found:
        now = {node.name: ast.dump(node) for node in ast.parse(mutant.data).body if isinstance(node, ast.FunctionDef)}
        assert now["f"] != whole["f"]
        assert (now["before"], now["after"]) == (whole["before"], whole["after"])


TEST = "tests/test_rate.py"
(PUBLIC,) = public_symbols(RATE.encode())
CHECK = SymbolPinned(path="rate.py", symbol="rate", test=TEST, body=PUBLIC.body)


class Judging:
    """A tree whose test file notices some changes; what it says of the code as it is."""

    def __init__(self, files: Mapping[str, str], *, notices: str = "(", plain: RunStatus = RunStatus.GREEN) -> None:
        self._files, self._notices, self._plain = files, notices, plain

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        assert ids == [TEST]
        status = self._plain
        if instead:
            status = RunStatus.RED if self._notices in instead["rate.py"].decode() else RunStatus.GREEN
        outcome = Outcome.PASSED if status is RunStatus.GREEN else Outcome.FAILED
        return TestRun(status=status, results=(TestResult(id=f"{TEST}::test", outcome=outcome),))

    async def read(self, path: str) -> bytes | None:
        return self._files[path].encode() if path in self._files else None


BOTH = {"rate.py": RATE, TEST: "..."}


@pytest.mark.parametrize(
    ("tree", "closed", "gone", "words"),
    [
        (Judging(BOTH), True, False, "notices 3 of 3 changes"),
        (Judging({**BOTH, "rate.py": f'"""Rates."""\n\n{RATE}'}), True, False, "notices 3 of 3"),
        (Judging(BOTH, notices="(None)"), False, False, "still passes with `base + 2` for `base * 2` in line 3"),
        (Judging(BOTH, notices="nothing"), False, False, "still passes with `None`"),
        (Judging(BOTH, plain=RunStatus.RED), False, False, "does not pass"),
        (Judging(BOTH, plain=RunStatus.INCONCLUSIVE), False, False, "does not pass"),
        (Judging({"rate.py": RATE}), False, False, f"there is no {TEST}"),
        (Judging({**BOTH, "rate.py": RATE.replace("7", "8")}), False, False, "is not what it was"),
        (Judging({**BOTH, "rate.py": "x = 1\n"}), False, True, "there is no rate"),
        (Judging({TEST: "..."}), False, True, "there is no rate"),
    ],
)
async def test_when_a_function_is_held_fast(tree: Judging, closed: bool, gone: bool, words: str) -> None:
    answer = await pinned_answer(CHECK, tree)
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, gone, True), answer
