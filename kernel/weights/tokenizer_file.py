"""Builds ``tokenizer.json`` from the vocabulary in a GGUF file, equivalent to the published tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.weights.gguf_file import GgufHead
from ledger.errors import OuroError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenizerRules:
    """How a family splits text before byte-pair merging.

    ``words``: regular expression of the pieces; empty for the one of GPT-2, which the library has built in.
    """

    words: str = ""
    single_digits: bool = False  # each digit is separate, split before anything else
    composed: bool = False  # text is normalised to NFC first
    whole_words: bool = False  # a word that is in the vocabulary is one token, without applying merges


_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
RULES = {  # names as in llama.cpp
    "qwen2": TokenizerRules(words=_WORDS.format(digits=""), composed=True),
    "llama-bpe": TokenizerRules(words=_WORDS.format(digits="{1,3}"), whole_words=True),
    "smollm": TokenizerRules(single_digits=True),
    "gpt-2": TokenizerRules(),
}
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # token types of GGUF; 5 is padding of the vocabulary


def build_tokenizer(head: GgufHead) -> Tokenizer:
    """The tokenizer of a GGUF file. Raises ``OuroError`` for a kind of tokenizer whose rules are not known here."""
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers

    kind, name = head.text("tokenizer.ggml.model"), str(head.metadata.get("tokenizer.ggml.pre", "unnamed"))
    if kind != "gpt2" or name not in RULES:
        raise OuroError(
            f"The weights use a tokenizer ({kind}/{name}) that cannot be converted.",
            remedy="Name the published folder (safetensors, with tokenizer.json) of the same model instead.",
        )
    tokens = [str(t) for t in head.items("tokenizer.ggml.tokens")]
    types = [int(t) for t in head.items("tokenizer.ggml.token_type")]
    if len(types) != len(tokens) or _NORMAL not in types:
        raise OuroError("The vocabulary of the weights lacks token types.")
    # Special tokens are numbered after the plain ones, or before them: then they belong to the BPE vocabulary.
    count = len(types) - types[::-1].index(_NORMAL)
    tokenizer = Tokenizer(_build_bpe(head, tokens, count, RULES[name]))
    if RULES[name].composed:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _build_pre_tokenizer(RULES[name])
    tokenizer.decoder = decoders.ByteLevel()
    for i, token in enumerate(tokens):
        if types[i] in (_CONTROL, _USER_DEFINED):
            tokenizer.add_tokens([AddedToken(token, normalized=False, special=types[i] == _CONTROL)])
            if tokenizer.token_to_id(token) != i:
                raise OuroError(f"The token {token!r} would get another number than the model was trained with.")
    return tokenizer


def _build_bpe(head: GgufHead, tokens: list[str], count: int, rules: TokenizerRules) -> Any:
    """A BPE model with the first ``count`` tokens."""
    from tokenizers import models

    merges = [(left, right) for left, _, right in (str(m).partition(" ") for m in head.items("tokenizer.ggml.merges"))]
    with _library_errors("The weights' vocabulary"):
        "".join(tokens).encode()  # a damaged vocabulary may hold invalid text
        return models.BPE(
            vocab={token: i for i, token in enumerate(tokens[:count])},
            merges=merges,
            fuse_unk=False,
            byte_fallback=False,
            ignore_merges=rules.whole_words,
        )


def _build_pre_tokenizer(rules: TokenizerRules) -> Any:
    from tokenizers import Regex, pre_tokenizers

    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if rules.single_digits else []
    if rules.words:
        steps.append(pre_tokenizers.Split(Regex(rules.words), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not rules.words))
    return pre_tokenizers.Sequence(steps)


def write_tokenizer(head: GgufHead, folder: Path) -> None:
    """Writes ``tokenizer.json``, and ``chat_template.jinja`` where the file contains one."""
    build_tokenizer(head).save(str(folder / "tokenizer.json"))
    template = head.metadata.get("tokenizer.chat_template")
    if isinstance(template, str):
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8", errors="replace")


def check_tokenizer(folder: Path, vocabulary: int) -> None:
    """Raises ``OuroError`` unless the folder's tokenizer is readable and has no more tokens than the model.

    Also raised if plain text that spells a special token would be encoded to it.
    """
    from tokenizers import Tokenizer

    with _library_errors("tokenizer.json"):
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = tokenizer.get_vocab_size(with_added_tokens=True)
    if tokens > vocabulary:
        raise OuroError(
            f"tokenizer.json has {tokens} tokens, and the model only {vocabulary}.",
            remedy="It belongs to another model: fetch all files from one source.",
        )
    tokenizer.encode_special_tokens = True
    for number, token in tokenizer.get_added_tokens_decoder().items():
        if token.special and number in tokenizer.encode(token.content, add_special_tokens=False).ids:
            raise OuroError(f"Plain text could become the special token {token.content!r} with this tokenizer.")


@contextmanager
def _library_errors(what: str) -> Iterator[None]:
    """Boundary to the tokenizer library, which raises plain ``Exception`` for all invalid input."""
    try:
        yield
    except Exception as error:
        raise OuroError(
            f"{what} cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}.",
            remedy="Fetch it again.",
        ) from error
