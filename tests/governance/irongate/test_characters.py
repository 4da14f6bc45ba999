"""Gate 5: what deceives is denied, what disturbs is mended, and only where the change added it."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.irongate.candidate import g05_characters
from governance.irongate.injection.confusables import why_deceptive
from governance.irongate.syntax import character_kinds
from ledger.vocabulary import Decision


def judge(after: str, before: str | None = None, path: str = "a.py") -> Decision:
    data = None if before is None else before.encode()
    return g05_characters.check(g05_characters.CharacterFacts(path=path, before=data, after=after.encode())).decision


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("print(“hi”)\n", 'print("hi")\n'),
        ("x = ‘it – is’\n", "x = 'it – is'\n"),
        ("a = b – c\n", "a = b - c\n"),
        ("x\u00a0=\u00a01\n", "x = 1\n"),
        ("x = 'a – b'  # “keep” – this\n", "x = 'a – b'  # “keep” – this\n"),
        ('"""“doc” – string"""\nx = 1 − 2\n', '"""“doc” – string"""\nx = 1 - 2\n'),
        ("if a ≤ b:\n    pass\n", "if a <= b:\n    pass\n"),
    ],
)
def test_mending_touches_code_alone(text: str, mended: str) -> None:
    assert g05_characters.mend(text) == mended
    ast.parse(mended)
    assert judge(mended) is Decision.ALLOW


def test_mending_only_the_lines_that_are_named() -> None:
    assert g05_characters.mend("a = b – c\nd = e – f\n", [2]) == "a = b – c\nd = e - f\n"


@pytest.mark.parametrize(
    "char", ["\u202e", "\u2066", "\u200b", "\u200f", "\u2060", "\U000e0041", "\x08", "\u2028", "\ufeff"]
)
def test_invisible_characters_are_denied_in_any_text(char: str) -> None:
    assert judge(f"note a{char}b\n", path="notes.md") is Decision.DENY
    assert judge(f"x = 'a{char}b'\n") is Decision.DENY


def test_what_stood_there_before_is_not_the_changes_business() -> None:
    old = "x = 'a\u200bb'\np\u0430y = 1\ny = “\n"
    assert judge(old + "z = 1\n", old) is Decision.ALLOW


def test_a_byte_order_mark_at_the_start_is_plain() -> None:
    assert judge("\ufeffx = 1\n") is Decision.ALLOW


@pytest.mark.parametrize("word", ["größe", "λ", "Δx", "ν_max", "скорость", "变量", "naïve", "ρ0", "µs", "日本"])
def test_honest_names(word: str) -> None:
    assert why_deceptive(word) is None


@pytest.mark.parametrize(
    "word", ["p\u0430y", "\u0441\u043e\u0440\u0443", "Αdmin", "us\u0435r_id", "\uff41bc", "\u0455elf", "ıd"]
)
def test_deceptive_names(word: str) -> None:
    assert why_deceptive(word) is not None


def test_prose_and_strings_may_hold_any_letters() -> None:
    assert judge("Latin with \u0430 Cyrillic p\u0430y\n", path="README.md") is Decision.ALLOW
    assert judge("x = 'p\u0430y'\n") is Decision.ALLOW


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="ab'\"#\\\n“”–=( )", max_size=60))
def test_kinds_cover_every_character_and_mending_ends(text: str) -> None:
    assert len(character_kinds(text)) == len(text)
    mended = g05_characters.mend(text)
    assert mended.count("\n") == text.count("\n")
