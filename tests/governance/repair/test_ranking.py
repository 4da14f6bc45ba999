"""Ranking: copied literals lose, small changes win."""

from __future__ import annotations

from governance.repair.failure_context import decode, encode
from governance.repair.ranking import PassingVariant, Variant, order
from governance.repair.ranking import shortcut as way_round
from governance.repair.spans import Move, Span
from tests.governance.repair.test_cloze import scene

SCENE = scene()


def survivor(name: str, *, shortcut: str = "", newly_red: int = 0, size: int = 1, votes: int = 1) -> PassingVariant:
    variant = Variant(
        path="a.py", span=Span(0, 0, 1, Move.REPLACE), text=name, base="", logprob_milli=-100, votes=votes
    )
    return PassingVariant(
        scene=SCENE, variant=variant, passed=5, newly_red=newly_red, still_red=0, shortcut=shortcut, size=size
    )  # fmt: skip


def test_order() -> None:
    good = survivor("good", size=20)
    assert min([survivor("red", newly_red=1), good, survivor("copied", shortcut="it copies")], key=order) is good
    small = survivor("small", size=2)
    assert min([good, small], key=order) is small
    agreed = survivor("agreed", size=3, votes=4)
    assert min([small, agreed], key=order) is agreed


def test_a_literal_of_the_test_is_found() -> None:
    test = "def test_total():\n    assert total([1, 2]) == 4711\n"
    assert way_round("return a", "return 4711", [test], []) == "it copies a literal from the test"
    assert not way_round("return 4711", "return 4711 + a", [test], [])
    assert not way_round("return a", "return a + 1", [test], [])


def test_a_handler_for_what_the_test_complains_of_is_found() -> None:
    before = "try:\n    a()\nexcept KeyError:\n    raise Missing(k)\n"
    hiding = before.replace("KeyError", "TypeError")
    assert way_round(before, hiding, [], ["TypeError"]) == "it catches TypeError, with which the test fails"
    assert way_round(before, before.replace("KeyError", "(KeyError, errors.TypeError)"), [], ["TypeError"])
    assert not way_round(before, hiding, [], ["KeyError"])
    assert not way_round(hiding, hiding.replace("a()", "b()"), [], ["TypeError"])


def test_newlines_and_byte_order_mark_are_kept() -> None:
    data = b"\xef\xbb\xbfa = 1\r\nb = 2\r\n"
    text = decode(data)
    assert text == "a = 1\nb = 2\n"
    assert encode(text, data) == data
    assert decode(b"\xff\xfe") is None
    assert decode(b"a\r\nb\n") is None
