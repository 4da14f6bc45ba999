"""What a model sees around a hole, in how much room; and which failing tests it never sees."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.repair.prompt import BODIES_CHARS, Example, header, hole, room_of
from governance.repair.spans import ParsedFile, insert_before, replace_line
from governance.verification.evidence import VERIFIED, evidence
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tests.e2e.world import Infilling
from tests.governance.repair.test_cloze import PATH, Board, Searches, scene

TEXT = '''"""Doc."""
import math
from shop import money

LIMIT = 3


def helper(value, *, strict=True):
    """Says how far. More words."""
    secret_of_helper = 4
    if strict:
        return secret_of_helper
    if value:
        return 2
    if value is None:
        return 1
    return secret_of_helper


def unused(value):
    return value


class Till(dict):
    """A till."""

    rate = 2

    def __init__(self, coins):
        self.coins = coins

    def other(self):
        return helper(1)

    def total(self, prices):
        """All of it."""
        found = helper(sum(prices), strict=self.other())
        return found * self.rate
'''
RED = TestResult(
    id="t.py::test_total", outcome=Outcome.FAILED, exception="AssertionError", message="assert 13 == 7\n + where"
)


def shown(line: int, most: int = 5_000) -> str:
    source = ParsedFile(TEXT)
    head = header(
        [Example(test_id=RED.id, source="def test_total():\n    assert Till([]).total([1]) == 7\n", result=RED)]
    )
    asked = hole(PATH, source, replace_line(source, line), head, max_tokens=8, max_chars=most)
    return f"{asked.prefix}<HOLE>{asked.suffix}"


def test_the_function_and_what_it_uses_stand_around_a_hole() -> None:
    text = shown(TEXT[: TEXT.index("found =")].count("\n") + 1)
    for part in (
        "# Must pass: t.py::test_total", "#     assert Till([]).total([1]) == 7", "# assert 13 == 7",  # what fails, how
        "import math", "from shop import money", "LIMIT = 3", "class Till(dict):", "rate = 2", "self.coins = coins",
        'def helper(value, *, strict=True):\n    """Says how far. More words."""\n    ...', "def other(self):",
        "return helper(1)",  # short: its body is shown
        "def total(self, prices):", "<HOLE>", "return found * self.rate",
    ):  # fmt: skip
        assert part in text, part
    for part in ("secret_of_helper", "def unused", "found = helper"):
        assert part not in text, part


def test_only_so_much_of_what_is_called_is_shown_whole() -> None:
    small = "".join(f"def part_{n}(a):\n    return a + {n}  # {'.' * 60}\n\n\n" for n in range(20))
    text = small + "def total(a):\n    return " + " + ".join(f"part_{n}(a)" for n in range(20)) + "\n"
    source = ParsedFile(text)
    prefix = hole(PATH, source, replace_line(source, text.count("\n")), "", max_tokens=8, max_chars=9_000).prefix
    whole = [n for n in range(20) if f"return a + {n}  #" in prefix]
    assert whole == list(range(len(whole))) and 0 < len(whole) * len("def part_0(a):\n") < BODIES_CHARS
    assert all(f"def part_{n}(a):\n" in prefix for n in range(20))


@given(st.integers(1, 5_000), st.text(min_size=1), st.integers(1, 7))
def test_room_is_counted_in_the_models_tokens(tokens: int, sample: str, each: int) -> None:
    """A model with ``each`` tokens for a character has room for so many characters less."""
    assert room_of(tokens, sample, lambda text: each * len(text)) == tokens // each
    assert room_of(tokens, sample, lambda _: 0) == tokens * len(sample)


@settings(deadline=None)
@given(st.integers(400, 4_000), st.integers(8, TEXT.count("\n")))
def test_no_prompt_is_larger_than_its_room(most: int, line: int) -> None:
    source = ParsedFile(TEXT * 6)
    if not source.lines[line - 1].strip():
        return
    head = "# words\n" * 900
    for span in (replace_line(source, line), insert_before(source, line)):
        asked = hole(PATH, source, span, head, max_tokens=8, max_chars=most)
        assert len(asked.prefix) + len(asked.suffix) <= most
        before, after = source.text[: span.start] + span.lead, span.tail + source.text[span.end :]
        near = 40
        assert asked.prefix[-near:] == before[-near:] or asked.prefix.endswith(before.rpartition("\n")[2])
        assert after.startswith(asked.suffix[:near].rstrip("\n"))


@pytest.mark.parametrize("functions", [1, 2, 4])
async def test_half_of_what_fails_is_never_shown_and_the_evidence_says_so(
    ledger: Ledger, clock: ManualClock, functions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = tuple(
        TestResult(id=f"t.py::test_{n}", outcome=Outcome.FAILED, exception="ValueError", message=f"message_{n}")
        for n in range(functions)
    )
    examples = tuple(
        Example(test_id=r.id, source=f"def test_{n}():\n    assert total({n}00, 1)\n", result=r)
        for n, r in enumerate(red)
    )
    base = TestRun(status=RunStatus.RED, results=red)
    failing = replace(scene(), failing=red, base=base, examples=examples)
    monkeypatch.setattr("tests.governance.repair.test_cloze.scene", lambda: failing)
    model = Infilling(lambda prefix, _: ["return subtotal - b"] if "subtotal = a" in prefix else [])
    found = await Searches(ledger, clock, model, moves=False).visit(Board("subtotal - b"))
    prompts = "".join(span.prefix + span.suffix for request in model.requests for span in request.spans)
    seen = {n for n in range(functions) if f"test_{n}" in prompts or f"message_{n}" in prompts or f"{n}00" in prompts}
    assert len(seen) == (functions + 1) // 2
    assert found.shown is not None and {f"t.py::test_{n}" for n in seen} == set(found.shown)
    assert (evidence(found.repaired, found.shown).level == VERIFIED) == (functions > 1)
