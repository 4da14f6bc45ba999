"""Prompts as token numbers: fill-in-the-middle and conversation (ChatML)."""

from __future__ import annotations

from collections.abc import Sequence

from kernel.local.tokenizer import Vocabulary
from kernel.policy import Family
from kernel.provider import InfillSpan, Message


def infill_prompt(vocabulary: Vocabulary, family: Family, span: InfillSpan) -> tuple[list[int], int]:
    """The prompt, and how many of its first tokens belong to the prefix (what other spans may share)."""
    prefix = [vocabulary.control(family.fim_prefix), *vocabulary.encode(span.prefix)]
    suffix = [vocabulary.control(family.fim_suffix), *vocabulary.encode(span.suffix)]
    return [*prefix, *suffix, vocabulary.control(family.fim_middle)], len(prefix)


def chat_prompt(vocabulary: Vocabulary, family: Family, conversation: Sequence[Message]) -> list[int]:
    """The conversation so far and the opening of the assistant's turn.

    Tool turns are shown as a user's turn, in the markup that the family was trained with.
    """
    start, end = vocabulary.control(family.turn_start), vocabulary.control(family.turn_end)
    newline = vocabulary.encode("\n")
    numbers: list[int] = []
    turns = [(m.role, m.text) for m in conversation]
    if not turns or turns[0][0] != "system":
        turns.insert(0, ("system", family.default_system))
    for role, text in turns:
        if role == "tool":
            role, text = "user", f"<tool_response>\n{text}\n</tool_response>"
        numbers += [start, *vocabulary.encode(f"{role}\n{text}"), end, *newline]
    return [*numbers, start, *vocabulary.encode("assistant\n")]
