"""Prompts as token numbers: fill-in-the-middle, and chats in the model's own template.

The template is rendered with a marker in place of every text. Special tokens of the rendered template are inserted by
number; then the texts replace the markers, as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernel.engine.decoding.tokenizer import Vocabulary
from kernel.policy import InfillFamily
from kernel.provider import InfillSpan, Message
from ledger.errors import ProviderBadOutput

# For models without a template.
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_OPEN, _CLOSE = "\ue000", "\ue001"  # private-use characters: no template contains them
_HOLE = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


def infill_prompt(vocabulary: Vocabulary, family: InfillFamily, span: InfillSpan) -> tuple[list[int], int]:
    """The prompt, and the number of its first tokens that form the prefix (which other spans may share)."""
    prefix = [vocabulary.control(family.fim_prefix), *vocabulary.encode(span.prefix)]
    suffix = [vocabulary.control(family.fim_suffix), *vocabulary.encode(span.suffix)]
    return [*prefix, *suffix, vocabulary.control(family.fim_middle)], len(prefix)


def chat_prompt(vocabulary: Vocabulary, conversation: Sequence[Message]) -> list[int]:
    """The conversation so far and the opening of the assistant's turn.

    Raises ``ProviderBadOutput`` when the model's template rejects the conversation.
    """
    texts = [message.text for message in conversation]
    turns = [
        {"role": message.role, "content": f"{_OPEN}{at}{_CLOSE}" if message.text else ""}
        for at, message in enumerate(conversation)
    ]
    numbers: list[int] = []
    plain = ""
    for control, text in _split_controls(_render(vocabulary, turns), vocabulary):
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


def _render(vocabulary: Vocabulary, turns: Sequence[dict[str, str]]) -> str:
    """The conversation in the model's template. Raises ``ProviderBadOutput`` when the template rejects it."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(vocabulary.template or CHATML).render(
            messages=turns, add_generation_prompt=True, tools=None, bos_token=vocabulary.start, eos_token=""
        )
    except TemplateError as error:
        raise ProviderBadOutput(
            f"The model's template rejects the conversation: {error}.",
            provider="local",
            remedy="Use another model, or drop the turn that the message names.",
        ) from error
