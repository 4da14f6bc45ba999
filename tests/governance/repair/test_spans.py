"""Spans: what is taken out and put back is exactly the file."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.repair.prompt import BEHIND_CHARS, hole, nearest
from governance.repair.search_plan import Wave, plan
from governance.repair.spans import (
    Move,
    ParsedFile,
    expressions,
    function_body,
    insert_after,
    insert_before,
    lines_of,
    replace_block,
    replace_line,
)
from governance.repair.variants import changed_lines
from tools.testing.localisation.ranking import Suspicion

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
    source = ParsedFile(TEXT)
    if not source.lines[line - 1].strip():
        return
    spans = [replace_line(source, line), *expressions(source, line)]
    block = replace_block(source, line, 2)
    spans += [block] if block else []
    for span in spans:
        assert span.fill(TEXT, TEXT[span.start : span.end]) == TEXT


ODD = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""``str.splitlines`` begins a line behind each of these, and Python does not."""


@settings(deadline=None)
@given(st.lists(st.text(ODD + "ä ", max_size=3), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_lines_are_counted_as_python_counts_them(marks: list[str], newline: str) -> None:
    text = "".join(f"\x0cx = '{mark}'  # {mark}{newline}{newline}" for mark in marks)
    source = ParsedFile(text)
    assert source.tree is not None and "".join(source.lines) == text == "".join(lines_of(text))
    values = [node.value for node in source.tree.body if isinstance(node, ast.Assign)]
    assert [
        ast.literal_eval(text[source.offset(v.lineno, v.col_offset) :].partition("  #")[0]) for v in values
    ] == marks


def test_behind_a_form_feed_the_right_line_is_replaced_and_weighed() -> None:
    text = "a = 1\n\x0c\ndef f(x):\n    y = x  # \u2028\n    return y\n"
    line = text[: text.index("return")].count("\n") + 1
    span = replace_line(ParsedFile(text), line)
    assert text[span.start : span.end] == "return y"
    hole_of, before, after = changed_lines(ParsedFile(text), span.fill(text, "return\x0cx"))
    assert (before, after, hole_of.line) == ("return y", "return\x0cx", line)
    assert hole_of.fill(text, after) == span.fill(text, "return\x0cx")


def test_a_statement_over_several_lines_is_one_span() -> None:
    source = ParsedFile(TEXT)
    assert source.statement_at(7) == (6, 9)
    assert replace_line(source, 7).fill(TEXT, "result = 1").count("\n") == TEXT.count("\n") - 3


def test_the_header_of_a_compound_statement_is_replaced_alone() -> None:
    filled = replace_line(ParsedFile(TEXT), 10).fill(TEXT, "if result >= 10:")
    assert "    if result >= 10:\n        return result - 1\n" in filled


@pytest.mark.parametrize("insert", [insert_before, insert_after])
def test_inserted_lines_keep_the_indentation(insert: object) -> None:
    source = ParsedFile(TEXT)
    span = insert(source, 12)  # type: ignore[operator]
    filled = span.fill(TEXT, "result += 1")
    assert "\n    result += 1\n" in filled
    ast.parse(filled)


def test_expressions_count_characters_not_bytes() -> None:
    texts = {TEXT[s.start : s.end] for s in expressions(ParsedFile(TEXT), 12)}
    assert {'"ä"', "rate", "1 + rate", "str(result * (1 + rate))"} <= texts


def test_expressions_leave_assignment_targets_alone() -> None:
    assert {s.move for s in expressions(ParsedFile("a = b\n"), 1)} == {Move.EXPRESSION}
    assert [(s.start, s.end) for s in expressions(ParsedFile("a = b\n"), 1)] == [(4, 5)]


def test_what_stands_behind_a_hole_is_cut_between_lines() -> None:
    body = "".join(f"    x{n} = {n}\n" for n in range(200))
    text = f"def f():\n    a = 1\n{body}    return a\n"
    source = ParsedFile(text)
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
    source = ParsedFile(CLASS)
    spans = {function_body(source, line) for line in (5, 8, 9)}
    (span,) = spans
    assert span is not None and CLASS[span.start : span.end] == "found = sum(self.prices)\n        return found"
    assert ast.parse(span.fill(CLASS, "return 1\n        # done"))
    assert function_body(source, 11) is None, "it has no line of its own"
    assert function_body(source, 14) is None and function_body(ParsedFile("def f(\n"), 1) is None


def test_a_function_is_written_by_whoever_has_read_the_old_one_and_ends_where_the_next_begins() -> None:
    source = ParsedFile(CLASS)
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
    source = ParsedFile(CLASS)
    places = [Suspicion(path="a.py", line=line, score_bp=5_000, why="") for line in (8, 9)]
    names = [step.name for step in plan(places, {"a.py": source}, first=6, batch=16)]
    assert names.count("functions") == 1 and names.index("functions") > names.index("blocks")
    (whole,) = [s for s in plan(places, {"a.py": source}, first=6, batch=16) if s.name == "functions"]
    assert isinstance(whole, Wave) and len(whole.spans) == 1 and whole.temperature == 0.0


def test_a_file_in_a_newer_python_is_repaired_too_and_one_that_never_ran_has_to_parse() -> None:
    text = "def first(a):\n    b = a ?? 0\n    return -b\n"  # for whichever Python the daemon has
    ran, never = ParsedFile(text, ran=True), ParsedFile(text)
    span = replace_line(ran, 3)
    assert ran.tree is None, "the daemon's own Python does not know this syntax"
    assert ran.shape_with(span, "return b") and not never.shape_with(span, "return b")
    assert ran.shape_with(span, "return b") == ran.shape_with(span, "return b  ") != ran.shape_with(span, "return 1")
    assert ran.shape_with(span, "return -b ") == ""
    broken = ParsedFile("def f(a:\n    return a\n")
    assert broken.shape_with(replace_line(broken, 1), "def f(a):") and not broken.shape_with(span, "return (")
    good = ParsedFile("def f(a):\n    return a\n", ran=True)
    assert not good.shape_with(replace_line(good, 2), "return (")
