"""Text to token numbers and back, for one loaded model.

Text from outside can never become a control token: pieces of text are encoded with control tokens switched off, and the
control tokens of a prompt are put between the pieces by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import OuroError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

REPLACEMENT = "�"  # what an unfinished UTF-8 sequence decodes to


class Vocabulary:
    """Wraps the tokenizer of a converted folder."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        tokenizer.encode_special_tokens = True
        added = tokenizer.get_added_tokens_decoder()
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)
        self._control = frozenset(i for i, token in added.items() if token.special)

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")))

    def encode(self, text: str) -> list[int]:
        """Numbers of ``text``; what looks like a control token in it is encoded as plain characters."""
        numbers: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return numbers

    def control(self, token: str) -> int:
        """Number of a control token. Raises ``OuroError`` when the model has none of that name."""
        number = self._tokenizer.token_to_id(token)
        if number is None or number not in self._control:
            raise OuroError(f"The model has no control token {token!r}.", remedy="Choose another family in the policy.")
        return int(number)

    def ends(self, number: int) -> bool:
        """A control token, or a padding row of the vocabulary: an answer never goes on behind one."""
        return number in self._control or number >= self.size

    def decode(self, numbers: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(numbers), skip_special_tokens=False)
        return text
