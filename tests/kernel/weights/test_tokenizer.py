"""The tokenizer that is built from a published file: text comes back as it was and can never become a control token."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.local.tokenizer import Vocabulary
from kernel.weights import store
from ledger.errors import OuroError
from tests.kernel.tiny import CONTROL, PADDED_VOCABULARY, USER_DEFINED, Tiny, vocabulary

TOKENS, _ = vocabulary()


@pytest.fixture(scope="module")
def words(tiny: Tiny) -> Vocabulary:
    return Vocabulary.load(store.converted_folder(tiny.folder, "qwen2.5-coder-0.5b", tiny.weights, "bf16"))


def test_merges_are_applied_in_their_order(words: Vocabulary) -> None:
    assert [TOKENS[n] for n in words.encode("def f():\n    return total")] == [
        "def", "Ġ", "f", "(", ")", ":", "Ċ", "ĠĠ", "Ġ", "Ġreturn", "Ġ", "to", "t", "al",
    ]  # fmt: skip


def test_control_tokens_are_reached_by_name_only(words: Vocabulary) -> None:
    for token in CONTROL:
        number = words.control(token)
        assert TOKENS[number] == token
        assert words.ends(number)
        assert number not in words.encode(f"a {token} b")
        assert words.decode(words.encode(f"a {token} b")) == f"a {token} b"


def test_a_token_of_the_tool_markup_is_plain_text(words: Vocabulary) -> None:
    number = TOKENS.index(USER_DEFINED)
    assert words.encode(f"x{USER_DEFINED}")[-1] == number
    assert not words.ends(number)
    with pytest.raises(OuroError, match="no control token '<tool_call>'"):
        words.control(USER_DEFINED)


def test_padding_rows_end_an_answer(words: Vocabulary) -> None:
    assert words.size < PADDED_VOCABULARY
    assert all(words.ends(number) for number in range(words.size, PADDED_VOCABULARY))


def test_an_unknown_control_token_is_named(words: Vocabulary) -> None:
    with pytest.raises(OuroError, match="no control token '<fim>'"):
        words.control("<fim>")


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_composed_text_comes_back(words: Vocabulary, text: str) -> None:
    import unicodedata

    composed = unicodedata.normalize("NFC", text)
    assert words.decode(words.encode(text)) == composed
