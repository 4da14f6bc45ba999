"""Moves: small edits that mend whole classes of mistakes."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.repair.moves import MOST, Complaint, is_about_types, proposals
from governance.repair.spans import ParsedFile

ZERO = Complaint("ZeroDivisionError", "division by zero")
CASES = {
    "comparison": ("def f(a, b):\n    return a < b\n", 2, "def f(a, b):\n    return a <= b\n", ()),
    "operator": ("def f(a, b):\n    return a - b\n", 2, "def f(a, b):\n    return a + b\n", ()),
    "condition": ("def f(a, b):\n    return a and b\n", 2, "def f(a, b):\n    return a or b\n", ()),
    "negation": ("def f(a):\n    if a:\n        return 1\n", 2, "def f(a):\n    if not a:\n        return 1\n", ()),
    "off by one": ("def f(a):\n    return a[len(a)]\n", 2, "def f(a):\n    return a[len(a) - 1]\n", ()),
    "range": ("def f(n):\n    return list(range(n))\n", 2, "def f(n):\n    return list(range(n + 1))\n", ()),
    "constant": ("def f(a):\n    return a + 2\n", 2, "def f(a):\n    return a + 1\n", ()),
    "argument order": ("def f(a, b):\n    return pow(b, a)\n", 2, "def f(a, b):\n    return pow(a, b)\n", ()),
    "call": ("def f(a):\n    return min(a)\n", 2, "def f(a):\n    return max(a)\n", ()),
    "no call": ("def f(a):\n    return sorted(a)\n", 2, "def f(a):\n    return a\n", ()),
    "over two lines": (
        "def f(a):\n    return '%s' // (\n        a)\n", 2, "def f(a):\n    return '%s' % (\n        a)\n", (),
    ),
    "missing call": (
        "def f(a):\n    b = [g(a)]\n    return b\n", 3, "def f(a):\n    b = [g(a)]\n    return ''.join(b)\n",
        (Complaint("AssertionError", "AssertionError: ['a', 'b'] != 'ab'\n"),),
    ),
    "missing call of the file": (
        "def f(a):\n    b = a or g(1)\n    raise b\n", 3, "def f(a):\n    b = a or g(1)\n    raise g(b)\n",
        (Complaint("TypeError", "exceptions must derive from BaseException"),),
    ),
    "name": ("def f(left, right):\n    return left + left\n", 2, "def f(left, right):\n    return left + right\n", ()),
    "return": ("def f(a):\n    b = a + 1\n", 2, "def f(a):\n    b = a + 1\n    return b\n", ()),
    "return of what is computed": ("def f(a):\n    a + 1\n", 2, "def f(a):\n    return a + 1\n", ()),
    "return of a branch": (
        "def f(a):\n    if a:\n        b = a + 1\n    else:\n        return 0\n", 3,
        "def f(a):\n    if a:\n        b = a + 1\n        return b\n    else:\n        return 0\n", (),
    ),
    "default": ("def f(a, b=1):\n    return a or b\n", 1, "def f(a, b=None):\n    return a or b\n", ()),
    "guard": (
        "def f(a):\n    return 1 / len(a)\n", 2, "def f(a):\n    if not a:\n        return 0\n    return 1 / len(a)\n",
        (ZERO,),
    ),
    "import": (
        "def f(a):\n    return math.sqrt(a)\n", 2, "import math\ndef f(a):\n    return math.sqrt(a)\n",
        (Complaint("NameError", "name 'math' is not defined"),),
    ),
    "unknown name": (
        "def f(total):\n    return totl\n", 2, "def f(total):\n    return total\n",
        (Complaint("NameError", "name 'totl' is not defined"),),
    ),
    "unknown name of the module": (
        "LIMIT = 3\ndef f(a):\n    return LIMITS + a\n", 3, "LIMIT = 3\ndef f(a):\n    return LIMIT + a\n",
        (Complaint("NameError", "name 'LIMITS' is not defined"),),
    ),
    "unknown name of an import": (
        "from a import money as coins\ndef f(a):\n    return coin(a)\n", 3,
        "from a import money as coins\ndef f(a):\n    return coins(a)\n",
        (Complaint("NameError", "name 'coin' is not defined"),),
    ),
}  # fmt: skip


def same(one: str, other: str) -> bool:
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except SyntaxError:
        return False


@pytest.mark.parametrize("kind", CASES)
def test_the_mistake_is_among_what_could_be_meant(kind: str) -> None:
    before, line, after, complaints = CASES[kind]
    source = ParsedFile(before)
    found = [one.span.fill(before, one.text) for one in proposals(source, line, complaints)]
    assert any(same(text, after) for text in found), found


def test_a_guard_is_offered_only_where_something_broke() -> None:
    before, line, _, _ = CASES["guard"]
    assert not any(one.kind == "guard" for one in proposals(ParsedFile(before), line))
    assert not any(
        one.kind == "guard" for one in proposals(ParsedFile(before), line, [Complaint("AssertionError", "")])
    )


@pytest.mark.parametrize(
    ("exception", "message", "about"),
    [
        ("TypeError", "unsupported operand", True), ("KeyError", "'a'", False),
        ("AssertionError", "assert [1, 2] == (1, 2)\n +  where", True),
        ("AssertionError", "assert '1' == 1", True), ("AssertionError", "assert b'1' == '2'", True),
        ("AssertionError", "assert 3 == -4", False), ("AssertionError", "AssertionError: 'a' != 'b'\n- a\n+ b", False),
        ("AssertionError", "assert None == 1", True), ("AssertionError", "it is not so", False),
    ],
)  # fmt: skip
def test_which_complaints_are_about_types(exception: str, message: str, about: bool) -> None:
    assert is_about_types(Complaint(exception, message)) is about


def test_text_that_does_not_parse_and_empty_lines_have_none() -> None:
    assert proposals(ParsedFile("def f(:\n"), 1) == ()
    assert proposals(ParsedFile("a = 1\n\n\nb = 2\n"), 2) == ()


LINES = st.lists(
    st.sampled_from([
        "x = a[i - 1] if not b else 'ä'", "for i in range(len(a), b):\n        pass", "return a is not b", "a += b * 2",
        "x = f'{a}' + \"é\"; y = -a", "z = [c for c in a if c >= 0 and b]", "while a <= b < 3:\n        a = b",
        "q = max(a, b, key=lambda v: v or 1)", "(a\n     + b)", "return d.get(a, b)",
    ]),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(deadline=None)
@given(LINES, st.sampled_from(["ZeroDivisionError", "NameError", "AssertionError"]))
def test_a_proposal_changes_its_place_only_and_nearly_all_parse(lines: list[str], exception: str) -> None:
    text = "def f(a, b, *, d=None):\n" + "".join(f"    {line}\n" for line in lines)
    source, parsed, total = ParsedFile(text), 0, 0
    for number in range(1, len(source.lines) + 1):
        found = proposals(source, number, [Complaint(exception, "name 'i' is not defined")])
        assert len(found) <= MOST and len(set(found)) == len(found)
        for one in found:
            filled = one.span.fill(text, one.text)
            assert filled != text
            assert filled.startswith(text[: one.span.start]) and filled.endswith(text[one.span.end :])
            total += 1
            try:
                ast.parse(filled)
                parsed += 1
            except SyntaxError:
                pass
    assert parsed >= 0.95 * total
