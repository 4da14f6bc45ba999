"""Text to token numbers and back, for one loaded model.

Untrusted text can never become a special token: texts are encoded with special tokens switched off, and the special
tokens of a prompt are inserted between them by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import OuroError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

REPLACEMENT = "�"  # decoding of an incomplete UTF-8 sequence


class Vocabulary:
    """The tokenizer of a converted folder. ``template``: chat template in Jinja; may be empty."""

    def __init__(
        self, tokenizer: Tokenizer, *, stops: Sequence[int] = (), start: int | None = None, template: str = ""
    ) -> None:
        self.template = template
        self.start = tokenizer.id_to_token(start) or "" if start is not None else ""
        self._tokenizer = tokenizer
        tokenizer.encode_special_tokens = True
        added = tokenizer.get_added_tokens_decoder()
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)
        self.controls = {token.content: number for number, token in added.items() if token.special}
        self._ends = frozenset(self.controls.values()) | set(stops)

    @classmethod
    def load(cls, folder: Path, stops: Sequence[int] = (), start: int | None = None) -> Vocabulary:
        """Reads ``tokenizer.json`` and ``chat_template.jinja``. ``stops``: tokens that end an answer; ``start``: the
        beginning-of-text token.
        """
        from tokenizers import Tokenizer

        template = folder / "chat_template.jinja"
        text = template.read_text(encoding="utf-8") if template.exists() else ""
        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")), stops=stops, start=start, template=text)

    def encode(self, text: str) -> list[int]:
        """Token numbers of ``text``; the spelling of a special token is encoded as plain characters."""
        numbers: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return numbers

    def control(self, token: str) -> int:
        """Number of a special token. Raises ``OuroError`` for an unknown one."""
        if token not in self.controls:
            raise OuroError(f"The model has no control token {token!r}.", remedy="Choose another family in the policy.")
        return self.controls[token]

    @property
    def ending(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return self._ends

    def is_end(self, number: int) -> bool:
        """True for special and padding tokens; generation stops at one."""
        return number in self._ends or number >= self.size

    def decode(self, numbers: Sequence[int]) -> str:
        """Text of token numbers, special tokens included."""
        text: str = self._tokenizer.decode(list(numbers), skip_special_tokens=False)
        return text
