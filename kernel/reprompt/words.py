"""What the model is told: how to say how sure it is, and to check its last answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kernel.provider import Limits, Message, ToolSchema, Usage
from kernel.tokens import estimate_tokens, prompt_characters

FORM = (
    "End with one line of its own, `confidence: N`, where N from 0.00 to 1.00 says how sure you are that the answer "
    "is right and complete."
)
CHECK = (
    "Check your answer against the question: look for mistakes, for cases that are missing and for what you took for "
    "granted. Then give the whole answer again, corrected where it is wrong and unchanged where it is right, in the "
    f"form that was asked for and without a word about the check. {FORM}"
)


def first(conversation: Sequence[Message]) -> tuple[Message, ...]:
    """The question, with the wish for a closing line."""
    *before, last = conversation
    if last.role != "user":
        return (*conversation, Message(role="user", text=FORM))
    return (*before, last.model_copy(update={"text": f"{last.text}\n\n{FORM}"}))


def again(conversation: Sequence[Message], answer: str) -> tuple[Message, ...]:
    """The same question once more, with the last answer to it. Begins like :func:`first`: servers keep that part."""
    return (*first(conversation), Message(role="assistant", text=answer), Message(role="user", text=CHECK))


def at_most(conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits, passes: int) -> Usage:
    """Tokens of ``passes`` passes, each with an answer as long as it may be."""
    if passes == 1:
        read = estimate_tokens(prompt_characters(conversation, tools))
    else:
        read = passes * estimate_tokens(prompt_characters(first(conversation), ()))
        read += (passes - 1) * (limits.max_tokens + estimate_tokens(len(CHECK)))
    return Usage(tokens_in=read, tokens_out=passes * limits.max_tokens, estimated=True)
