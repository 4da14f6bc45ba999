"""Prompts as token numbers: fill-in-the-middle, and chats in the model's own template.

The template is rendered with a marker in place of every text. Special tokens of the rendered template are inserted by
number; then the texts replace the markers, as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernel.engine.decoding.chat_template import rejected, render_template
from kernel.engine.decoding.tokenizer import Vocabulary
from kernel.policy import InfillFamily
from kernel.provider import InfillSpan, Message

MOST_REPEATED = 4
"""Times that a template may repeat the conversation, in characters."""
_OPEN, _CLOSE = "\ue000", "\ue001"  # private-use characters: no template contains them
_HOLE = re.compile(f"{_OPEN}([0-9]{{1,9}}){_CLOSE}")


def infill_prompt(vocabulary: Vocabulary, family: InfillFamily, span: InfillSpan) -> tuple[list[int], int]:
    """The prompt, and the number of its first tokens that form the prefix (which other spans may share)."""
    prefix = [vocabulary.control(family.fim_prefix), *vocabulary.encode(span.prefix)]
    suffix = [vocabulary.control(family.fim_suffix), *vocabulary.encode(span.suffix)]
    return [*prefix, *suffix, vocabulary.control(family.fim_middle)], len(prefix)


def chat_prompt(vocabulary: Vocabulary, conversation: Sequence[Message]) -> list[int]:
    """The conversation so far and the opening of the assistant's turn.

    Blocks. Raises ``ProviderBadOutput`` when the model's template rejects the conversation.
    """
    texts = [message.text for message in conversation]
    turns = [
        {"role": message.role, "content": f"{_OPEN}{at}{_CLOSE}" if message.text else ""}
        for at, message in enumerate(conversation)
    ]
    rendered = render_template(vocabulary.template, turns, start=vocabulary.start)
    used = [int(number) for number in _HOLE.findall(rendered)]
    most = MOST_REPEATED * sum(map(len, texts))
    if any(at >= len(texts) for at in used) or sum(len(texts[at]) for at in used) > most:
        raise rejected(f"it names turns that are none, or repeats it more than {MOST_REPEATED} times")
    numbers: list[int] = []
    plain = ""
    for control, text in _split_controls(rendered, vocabulary):
        if control is None:
            plain += _HOLE.sub(lambda hole: texts[int(hole[1])], text)
            continue
        numbers += [*(vocabulary.encode(plain) if plain else ()), control]
        plain = ""
    return [*numbers, *(vocabulary.encode(plain) if plain else ())]


def _split_controls(rendered: str, vocabulary: Vocabulary) -> Iterator[tuple[int | None, str]]:
    """Special tokens by number, and the text between them."""
    if not vocabulary.controls:
        yield None, rendered
        return
    names = sorted(vocabulary.controls, key=len, reverse=True)
    for piece in re.split(f"({'|'.join(map(re.escape, names))})", rendered):
        if piece:
            yield vocabulary.controls.get(piece), piece
