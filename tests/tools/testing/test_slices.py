"""The slice of a function."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from tools.testing.localisation.slices import Body

NAMES = st.sampled_from("abcd")
LINES = st.lists(st.builds("    {} = {}".format, NAMES, NAMES), max_size=8)


def test_a_slice_leaves_out_what_has_nothing_to_do_with_it() -> None:
    function = ast.parse(
        "def f(a, b):\n    x = a\n    y = b\n    if y:\n        x += 1\n    z = y\n    return x\n"
    ).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert Body(function).sliced(names=(), lines=[7]).lines == {2, 3, 4, 5, 7}
    assert Body(function).sliced(names=["z"], lines=()).lines == {3, 6}
    assert Body(function).sliced(names=["nothing"], lines=()).lines == frozenset()


@given(LINES, NAMES)
def test_a_slice_holds_all_that_assigns_what_it_needs(lines: list[str], asked: str) -> None:
    function = ast.parse("\n".join(["def f():", "    pass", *lines])).body[0]
    assert isinstance(function, ast.FunctionDef)
    cut = Body(function).sliced(names=[asked], lines=()).lines
    needed, grown = {asked}, True
    while grown:
        more = {line.split()[2] for line in lines if line.split()[0] in needed} - needed
        needed, grown = needed | more, bool(more)
    assert cut == {number + 3 for number, line in enumerate(lines) if line.split()[0] in needed}
