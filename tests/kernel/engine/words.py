"""A vocabulary of numbered words, for models without a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, models

from kernel.engine.decoding.tokenizer import Vocabulary


class Words(Vocabulary):
    """Token 3 is the word "w3"; no token ends an answer."""

    def __init__(self, size: int = 61) -> None:
        super().__init__(Tokenizer(models.WordLevel({f"w{i}": i for i in range(size)}, unk_token="w0")))

    def decode(self, numbers: Sequence[int]) -> str:
        return " ".join(f"w{number}" for number in numbers)
