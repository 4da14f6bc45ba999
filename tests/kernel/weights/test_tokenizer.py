"""The tokenizer that is built from a published file: text comes back as it was and can never become a control token."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.engine.decoding.tokenizer import Vocabulary
from kernel.weights import store
from kernel.weights.gguf_file import GgufHead
from kernel.weights.tokenizer_file import RULES, build_tokenizer
from ledger.errors import OuroError
from tests.kernel.tiny import (
    CONTROL,
    CONTROL_TYPE,
    MERGES,
    NORMAL_TYPE,
    PADDED_VOCABULARY,
    USER_DEFINED,
    Tiny,
    byte_symbols,
    vocabulary,
)

TOKENS, _ = vocabulary()


@pytest.fixture(scope="module")
def words(tiny: Tiny) -> Vocabulary:
    return Vocabulary.load(store.converted_folder(tiny.folder, "qwen2.5-coder-0.5b", tiny.weights, "bf16"))


def test_merges_are_applied_in_their_order(words: Vocabulary) -> None:
    assert [TOKENS[n] for n in words.encode("def f():\n    return total")] == [
        "def",
        "Ġ",
        "f",
        "(",
        ")",
        ":",
        "Ċ",
        "ĠĠ",
        "Ġ",
        "Ġreturn",
        "Ġ",
        "to",
        "t",
        "al",
    ]


def test_control_tokens_are_reached_by_name_only(words: Vocabulary) -> None:
    for token in CONTROL:
        number = words.control(token)
        assert TOKENS[number] == token
        assert words.is_end(number)
        assert number not in words.encode(f"a {token} b")
        assert words.decode(words.encode(f"a {token} b")) == f"a {token} b"


def test_a_token_of_the_tool_markup_is_plain_text(words: Vocabulary) -> None:
    number = TOKENS.index(USER_DEFINED)
    assert words.encode(f"x{USER_DEFINED}")[-1] == number
    assert not words.is_end(number)
    with pytest.raises(OuroError, match="no control token '<tool_call>'"):
        words.control(USER_DEFINED)


def test_padding_rows_end_an_answer(words: Vocabulary) -> None:
    assert words.size < PADDED_VOCABULARY
    assert all(words.is_end(number) for number in range(words.size, PADDED_VOCABULARY))


def test_an_unknown_control_token_is_named(words: Vocabulary) -> None:
    with pytest.raises(OuroError, match="no control token '<fim>'"):
        words.control("<fim>")


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_composed_text_comes_back(words: Vocabulary, text: str) -> None:
    import unicodedata

    composed = unicodedata.normalize("NFC", text)
    assert words.decode(words.encode(text)) == composed


def of_rules(name: str, *more: str) -> Vocabulary:
    """A tokenizer by the rules of a family, with the control tokens in front, as some have them, and ``more`` words."""
    plain = [*byte_symbols(), *(merge.replace(" ", "") for merge in MERGES), *more]
    metadata: dict[str, object] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": name,
        "tokenizer.ggml.tokens": [*CONTROL, *plain],
        "tokenizer.ggml.token_type": [CONTROL_TYPE] * len(CONTROL) + [NORMAL_TYPE] * len(plain),
        "tokenizer.ggml.merges": list(MERGES),
    }
    return Vocabulary(build_tokenizer(GgufHead(metadata, {})))  # type: ignore[arg-type]  # lists of one kind


def pieces(words: Vocabulary, text: str) -> list[str]:
    """What each token stands for."""
    return [words.decode([number]) for number in words.encode(text)]


def test_digits_and_whole_words_differ_by_family() -> None:
    long = ("1234", "123", "Ġ12", "Ġx12")  # a merge for none of them: only a rule about whole words can give them
    assert pieces(of_rules("llama-bpe", *long), "1234 12")[:2] == ["123", "4"]
    assert pieces(of_rules("llama-bpe", *long), " 12") == [" ", "1", "2"]  # the blank is cut off first
    for name in ("smollm", "gpt-2", "qwen2"):
        assert pieces(of_rules(name, *long), "1234") == ["1", "2", "3", "4"]
    cuts = {name: of_rules(name)._tokenizer.pre_tokenizer.pre_tokenize_str("a 1234\n\nit'S") for name in RULES}
    shown = {name: [piece for piece, _ in cut] for name, cut in cuts.items()}
    assert shown["smollm"] == ["a", "Ġ", "1", "2", "3", "4", "Ċ", "Ċ", "it", "'", "S"]
    assert shown["gpt-2"] == ["a", "Ġ1234", "Ċ", "Ċ", "it", "'", "S"]
    assert shown["llama-bpe"] == ["a", "Ġ", "123", "4", "ĊĊ", "it", "'S"]
    assert shown["qwen2"] == ["a", "Ġ", "1", "2", "3", "4", "ĊĊ", "it", "'S"]


@pytest.mark.parametrize("name", RULES)
def test_control_tokens_in_front_of_the_others_keep_their_numbers(name: str) -> None:
    words = of_rules(name)
    for number, token in enumerate(CONTROL):
        assert words.control(token) == number and words.is_end(number)
        found = words.encode(f"a{token}b")
        assert number not in found and words.decode(found) == f"a{token}b"
    assert pieces(words, "return total")[0] == "return"


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(RULES)), st.text(st.characters(codec="utf-8"), max_size=40))
def test_text_comes_back_in_every_family(name: str, text: str) -> None:
    import unicodedata

    words = of_rules(name)
    expected = unicodedata.normalize("NFC", text) if RULES[name].composed else text
    assert words.decode(words.encode(text)) == expected


@pytest.mark.parametrize(("kind", "pre"), [("gpt2", "deepseek-coder"), ("llama", "default"), ("bert", "unnamed")])
def test_other_families_are_refused(kind: str, pre: str) -> None:
    head = GgufHead({"tokenizer.ggml.model": kind, "tokenizer.ggml.pre": pre}, {})
    with pytest.raises(OuroError, match=f"a tokenizer \\({kind}/{pre}\\) that cannot be converted") as caught:
        build_tokenizer(head)
    assert "published folder" in caught.value.remedy
