"""Builds ``tokenizer.json`` from the vocabulary in a GGUF file, exactly as the publisher's own tokenizer works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kernel.weights.gguf_file import GgufHead
from ledger.errors import OuroError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# How text is cut before byte-pair merging; part of the published tokenizer of each family.
PRETOKENIZE = {
    "qwen2": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # token types; 5 is padding up to a round vocabulary


def build_tokenizer(head: GgufHead) -> Tokenizer:
    """Raises ``OuroError`` for a kind of tokenizer whose rules are not known."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    kind, rules = head.text("tokenizer.ggml.model"), head.text("tokenizer.ggml.pre")
    if kind != "gpt2" or rules not in PRETOKENIZE:
        raise OuroError(f"The weights use a tokenizer ({kind}/{rules}) that cannot be converted.")
    tokens = [str(t) for t in head.items("tokenizer.ggml.tokens")]
    types = [int(t) for t in head.items("tokenizer.ggml.token_type")]
    merges = [(left, right) for left, _, right in (str(m).partition(" ") for m in head.items("tokenizer.ggml.merges"))]
    vocabulary = {token: i for i, token in enumerate(tokens) if types[i] == _NORMAL}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, fuse_unk=False, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE[rules]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    for i, token in enumerate(tokens):
        if types[i] in (_CONTROL, _USER_DEFINED):
            tokenizer.add_tokens([AddedToken(token, normalized=False, special=types[i] == _CONTROL)])
            if tokenizer.token_to_id(token) != i:
                raise OuroError(f"The token {token!r} would get another number than the model was trained with.")
    return tokenizer


def write_tokenizer(head: GgufHead, folder: Path) -> None:
    """``tokenizer.json``, and ``chat_template.jinja`` where the file carries one."""
    build_tokenizer(head).save(str(folder / "tokenizer.json"))
    template = head.metadata.get("tokenizer.chat_template")
    if isinstance(template, str):
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
