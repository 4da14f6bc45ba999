"""Trees are shared between the gates: none of them changes one."""

from __future__ import annotations

import ast

import pytest

from governance.irongate.candidate_gates import inspect
from governance.irongate.op import g19_recursion
from governance.irongate.syntax import parse, parse_copy, without_docstrings
from governance.irongate.test_code.diff import find_weakened
from tests.cage.hostile_candidates import BAD, PATH, candidates
from tests.governance.irongate.builders import inspection

DOCUMENTED = (
    "'of the module'\nx = 1\n\n\nclass A:\n    'of a class'\n\n    def f(self):\n        'of a function'\n"
    "        if x:\n"
    "            'no documentation, but a text'\n        return 1\n        x = 2\n"
)


def test_a_text_is_parsed_once_and_as_bytes_apart() -> None:
    assert parse("x = 1") is parse("x = 1")
    assert parse("x = 1") is not parse(b"x = 1") is not parse_copy(b"x = 1")
    assert parse("(") is None is parse("(")


@pytest.mark.parametrize("one", candidates()[:40], ids=lambda one: one.name)
def test_no_gate_changes_a_tree(one: object) -> None:
    source = one.source  # type: ignore[attr-defined]
    made = inspection({PATH: (BAD, source)}).model_copy(update={"tests": (DOCUMENTED,), "undone_diffs": ("a",)})
    first = inspect(made)
    for text in (BAD.encode(), source.encode(), DOCUMENTED):
        tree = parse(text)
        assert (tree is None) == (parse_copy(text) is None)
        if tree is not None:
            assert ast.dump(tree) == ast.dump(parse_copy(text))  # type: ignore[arg-type]
    assert inspect(made) == first


def test_what_needs_a_changed_tree_makes_its_own() -> None:
    tree = parse(DOCUMENTED)
    assert tree is not None
    before = ast.dump(tree)
    bare = without_docstrings(tree)
    assert "of a" not in ast.dump(bare) and "but a text" in ast.dump(bare)
    find_weakened(DOCUMENTED.encode(), DOCUMENTED.replace("x = 1", "x = 2").encode())
    g19_recursion.program_lines(DOCUMENTED.encode())
    assert ast.dump(tree) == before == ast.dump(parse(DOCUMENTED))  # type: ignore[arg-type]
