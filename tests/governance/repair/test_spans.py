"""Spans: what is taken out and put back is exactly the file."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.repair.prompt import BEHIND_CHARS, hole, nearest
from governance.repair.spans import (
    Move,
    Source,
    expressions,
    function_body,
    insert_after,
    insert_before,
    replace_block,
    replace_line,
)
from governance.repair.waves import Wave, plan
from tools.testing.localise import Suspicion

TEXT = '''"""Größe."""


def total(lines, *, rate=0.2):
    """Sum."""
    result = sum(
        line.price
        for line in lines
    )
    if result > 10:
        return result - 1
    return "ä" + str(result * (1 + rate))
'''


@settings(deadline=None)
@given(st.integers(1, TEXT.count("\n")))
def test_filling_a_hole_with_what_stood_there_gives_the_file(line: int) -> None:
    source = Source(TEXT)
    if not source.lines[line - 1].strip():
        return
    spans = [replace_line(source, line), *expressions(source, line)]
    block = replace_block(source, line, 2)
    spans += [block] if block else []
    for span in spans:
        assert span.fill(TEXT, TEXT[span.start : span.end]) == TEXT


def test_a_statement_over_several_lines_is_one_span() -> None:
    source = Source(TEXT)
    assert source.statement_at(7) == (6, 9)
    assert replace_line(source, 7).fill(TEXT, "result = 1").count("\n") == TEXT.count("\n") - 3


def test_the_header_of_a_compound_statement_is_replaced_alone() -> None:
    filled = replace_line(Source(TEXT), 10).fill(TEXT, "if result >= 10:")
    assert "    if result >= 10:\n        return result - 1\n" in filled


@pytest.mark.parametrize("insert", [insert_before, insert_after])
def test_inserted_lines_keep_the_indentation(insert: object) -> None:
    source = Source(TEXT)
    span = insert(source, 12)  # type: ignore[operator]
    filled = span.fill(TEXT, "result += 1")
    assert "\n    result += 1\n" in filled
    ast.parse(filled)


def test_expressions_count_characters_not_bytes() -> None:
    texts = {TEXT[s.start : s.end] for s in expressions(Source(TEXT), 12)}
    assert {'"ä"', "rate", "1 + rate", "str(result * (1 + rate))"} <= texts


def test_expressions_leave_assignment_targets_alone() -> None:
    assert {s.move for s in expressions(Source("a = b\n"), 1)} == {Move.EXPRESSION}
    assert [(s.start, s.end) for s in expressions(Source("a = b\n"), 1)] == [(4, 5)]


def test_what_stands_behind_a_hole_is_cut_between_lines() -> None:
    body = "".join(f"    x{n} = {n}\n" for n in range(200))
    text = f"def f():\n    a = 1\n{body}    return a\n"
    source = Source(text)
    asked = hole("a.py", source, replace_line(source, 2), "", max_tokens=8, max_chars=50_000)
    assert asked.suffix.strip("\n") == text[text.index("    x0") :][:BEHIND_CHARS].rpartition("\n")[0]
    short = hole("a.py", source, replace_line(source, 202), "", max_tokens=8, max_chars=50_000)
    assert short.suffix == "\n    return a\n"
    assert nearest("one line without an end", 4) == "one "


CLASS = '''class Shop:
    """A shop."""

    @property
    def total(self):
        """What all of it costs."""
        # a word
        found = sum(self.prices)
        return found

    def none(self): return 0


rate = 3
'''


def test_the_body_of_a_function_is_one_hole_whichever_line_led_there() -> None:
    source = Source(CLASS)
    spans = {function_body(source, line) for line in (5, 8, 9)}
    (span,) = spans
    assert span is not None and CLASS[span.start : span.end] == "found = sum(self.prices)\n        return found"
    assert ast.parse(span.fill(CLASS, "return 1\n        # done"))
    assert function_body(source, 11) is None, "it has no line of its own"
    assert function_body(source, 14) is None and function_body(Source("def f(\n"), 1) is None


def test_a_function_is_written_by_whoever_has_read_the_old_one_and_ends_where_the_next_begins() -> None:
    source = Source(CLASS)
    span = function_body(source, 8)
    assert span is not None
    asked = hole("a.py", source, span, "", max_tokens=99, max_chars=5_000)
    assert "# It was:\n# found = sum(self.prices)\n#         return found\n" in asked.prefix
    assert asked.prefix.endswith('"""What all of it costs."""\n        # a word\n        ')
    assert "\n    def " in asked.stop and "\n" not in asked.stop and "def none" in asked.suffix
    again = hole("a.py", source, span, "", max_tokens=99, max_chars=5_000, bare=True)
    assert "It was" not in again.prefix and again.suffix == asked.suffix
    line = hole("a.py", source, replace_line(source, 8), "", max_tokens=9, max_chars=5_000)
    assert "It was" not in line.prefix and line.stop == ("\n",)


def test_functions_are_asked_for_behind_blocks_and_each_once() -> None:
    source = Source(CLASS)
    places = [Suspicion(path="a.py", line=line, score_bp=5_000, why="") for line in (8, 9)]
    names = [step.name for step in plan(places, {"a.py": source}, first=6, batch=16)]
    assert names.count("functions") == 1 and names.index("functions") > names.index("blocks")
    (whole,) = [s for s in plan(places, {"a.py": source}, first=6, batch=16) if s.name == "functions"]
    assert isinstance(whole, Wave) and len(whole.spans) == 1 and whole.temperature == 0.0
