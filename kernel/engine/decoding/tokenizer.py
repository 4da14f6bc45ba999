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
    """Wraps the tokenizer of a converted folder. ``template`` is that of a conversation, in Jinja; may be empty."""

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
        from tokenizers import Tokenizer

        template = folder / "chat_template.jinja"
        text = template.read_text(encoding="utf-8") if template.exists() else ""
        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")), stops=stops, start=start, template=text)

    def encode(self, text: str) -> list[int]:
        """Numbers of ``text``; what looks like a control token in it is encoded as plain characters."""
        numbers: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return numbers

    def control(self, token: str) -> int:
        """Number of a control token. Raises ``OuroError`` when the model has none of that name."""
        if token not in self.controls:
            raise OuroError(f"The model has no control token {token!r}.", remedy="Choose another family in the policy.")
        return self.controls[token]

    @property
    def ending(self) -> frozenset[int]:
        """Tokens behind which an answer never goes on."""
        return self._ends

    def ends(self, number: int) -> bool:
        """A control token, or a padding row of the vocabulary: an answer never goes on behind one."""
        return number in self._ends or number >= self.size

    def decode(self, numbers: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(numbers), skip_special_tokens=False)
        return text
