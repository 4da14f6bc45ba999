from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.requests.sentences import VERBS, bare, squeeze
from sensors.voice.grammar import IT, Forbidden, Goal, Order, Unclear, parse, reference


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Status.", Order(name="status")),
        ("hey Ouro, what's the status, please?", Order(name="status")),
        ("What are you doing?", Order(name="ops")),
        ("Ouroboros, pause!", Order(name="pause")),
        ("okay, resume", Order(name="resume")),
        ("show op 7f3a21", Order(name="show", target="7f3a21")),
        ("cancel op seven f three a", Order(name="cancel", target="7f3a")),
        ("please cancel the op", Order(name="cancel", target=IT)),
        ("Stop it.", Order(name="cancel", target=IT)),
        ("cancel op alpha bravo seven", Order(name="cancel", target="ab7")),
        ("retry sig-1c7f3b", Order(name="retry", target="1c7f3b")),
        ("try 1c7f3b again", Order(name="retry", target="1c7f3b")),
        ("retry", Order(name="retry", target=IT)),
        ("fix test total with discount", Goal(text="fix test total with discount")),
        ("Could you please fix tests/test_cart.py::test_total now?", Goal(text="fix tests/test_cart.py::test_total")),
        ("yes, fix the rounding in total", Goal(text="fix the rounding in total")),
        ("refuse negative prices in total", Goal(text="refuse negative prices in total")),
        ("reject empty carts", Goal(text="reject empty carts")),
        ("stop rounding up in total", Goal(text="stop rounding up in total")),
    ],
)
def test_what_is_taken(said: str, meant: object) -> None:
    assert parse(said) == meant


@pytest.mark.parametrize(
    ("said", "rule", "typed"),
    [
        ("approve 7f3a21", "voice.approval", "ouro approve 7f3a21"),
        ("Approve it!", "voice.approval", "ouro approve OP"),
        ("approve", "voice.approval", "ouro approve OP"),
        ("yes", "voice.approval", "ouro approve OP"),
        ("okay, approve it", "voice.approval", "ouro approve OP"),
        ("go ahead", "voice.approval", "ouro approve OP"),
        ("looks good to me", "voice.approval", "ouro approve OP"),
        ("merge it", "voice.approval", "ouro approve OP"),
        ("apply the change", "voice.approval", "ouro approve OP"),
        ("accept all of them everything", "voice.approval", "ouro approve OP"),
        ("please reject op seven f three a", "voice.approval", "ouro reject 7f3a"),
        ("undo op 7f3a", "voice.typed", "ouro undo 7f3a"),
        ("answer it", "voice.typed", "ouro answer OP"),
        ("shut down", "voice.typed", "ouro --help"),
        ("reload", "voice.typed", "ouro --help"),
    ],
)
def test_what_is_told_apart_to_be_refused(said: str, rule: str, typed: str) -> None:
    assert parse(said) == Forbidden.model_validate({"rule": rule, "typed": typed})


@pytest.mark.parametrize(
    "said",
    [
        "", "   ", "...", "don't cancel it", "do not fix the test total", "never mind", "no", "no, cancel it",
        "fix", "fix it", "fix the op", "cancel the discount", "show me the money", "what shall we have for lunch",
        "well, the test is red again", "stop", "cancel 3",
    ],
)  # fmt: skip
def test_what_means_nothing(said: str) -> None:
    assert isinstance(parse(said), Unclear)


@given(st.text(max_size=200))
def test_every_text_means_something_and_means_it_again(text: str) -> None:
    meant = parse(text)
    assert parse(text.upper()).__class__ is meant.__class__ or not text.isascii()
    assert bare(bare(text)) == bare(text) and squeeze(squeeze(text)) == squeeze(text)
    if isinstance(meant, Goal):
        assert meant.text == bare(meant.text) and "\n" not in meant.text


@given(st.sampled_from(["approve", "confirm", "lgtm"]), st.text(max_size=100))
def test_nothing_that_begins_with_approval_is_an_order_or_a_goal(word: str, rest: str) -> None:
    assert not isinstance(parse(f"{word} {rest}"), Order | Goal)


@given(
    st.sampled_from(["don't", "do not", "never", "please don't", "Ouro, do not"]),
    st.sampled_from(["cancel it", "pause", "resume", "retry", "fix the test total", "show 7f3a21"]),
)
def test_what_is_negated_is_not_done(lead: str, order: str) -> None:
    assert isinstance(parse(f"{lead} {order}"), Unclear)


@given(st.text(alphabet="0123456789abcdef", min_size=3, max_size=32))
def test_an_id_is_heard_as_one_word_or_letter_by_letter(core: str) -> None:
    assert reference(("op", f"op-{core}")) == core
    assert reference(tuple(core)) == core
    assert reference(("a", "change", *core)) == core


def test_a_verb_that_asks_for_a_change_is_one_word() -> None:
    assert all(verb.isalpha() and verb.islower() for verb in VERBS)
