"""What is a marker, what it asks for, and when it is gone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.vocabulary import MarkerAbsent
from sensors.todo.markers import marker_answer, markers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# TODO: do it\n", [("TODO", "do it", 1)]),
        ("x = 1  # FIXME(ann): is this so?\n", [("FIXME", "is this so?", 1)]),
        ("#HACK around it\n", [("HACK", "around it", 1)]),
        ("    # TODO - first\n    # and its end\n\n    # another matter\nx = 1\n", None),
        ("# TODO: first\n# TODO: second\n", [("TODO", "first", 1), ("TODO", "second", 2)]),
        ("x = 1  # TODO: here\n# not this\n", [("TODO", "here", 1)]),
        ("# see the TODO list\n# todo: small letters\n# TODOS\n", []),
        ("s = '# TODO: in a text'\n", []),
        ('"""\n# TODO: in a docstring\n"""\n', []),
        ("def broken(:\n  '\n", []),
    ],
)
def test_markers(text: str, found: list[tuple[str, str, int]] | None) -> None:
    expected = [("TODO", "first and its end", 1)] if found is None else found
    text = text.replace("    #", "#") if found is None else text
    assert [(m.word, m.text, m.line) for m in markers(text.encode())] == expected


BASE = "# TODO: refuse negative prices\nx = 1\n# FIXME: other\n"
SEEN = markers(BASE.encode())
CHECK = MarkerAbsent(path="a.py", digest=SEEN[0].digest, others=(SEEN[1].digest,))


@pytest.mark.parametrize(
    ("text", "closed", "words"),
    [
        (None, True, "no a.py any more"),
        ("x = 2\n# FIXME: other\n", True, "gone from a.py"),
        ("x = 2\n", True, "gone"),
        (BASE, False, "the TODO still stands at a.py:1"),
        ("# FIXME: Refuse  negative prices.\n", False, "the FIXME still stands"),
        ("# refuse negative prices\n", False, "the same without its marker"),
        ("# TODO: reject them\nx = 1\n# FIXME: other\n", False, "a.py:1 has a TODO that was not there before"),
        ("def broken(:\n  '''", False, "cannot be read as Python"),
    ],
)
def test_when_it_is_gone(text: str | None, closed: bool, words: str) -> None:
    answer = marker_answer(CHECK, None if text is None else text.encode())
    assert (answer.closed, words in answer.reason) == (closed, True), answer


def test_odd_encodings_and_halves_of_characters_are_text_like_any_other() -> None:
    odd = b"# -*- coding: unicode_escape -*-\n# TODO: \\ud800 mend the encoding here\n"
    for marker in markers(odd):
        assert marker.text.encode("utf-8")
    assert markers(b"# coding: no_such_code\n# TODO: do it\n") == ()


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    data = text.encode("utf-8", errors="surrogatepass")
    assert all(marker.line >= 1 for marker in markers(data))
    marker_answer(CHECK, data)
