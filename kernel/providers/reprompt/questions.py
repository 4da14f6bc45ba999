"""Which questions are re-prompted (reasoning and coding with one answer in words), and the prompts of the passes.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kernel.provider import Limits, Message, ToolSchema, Usage
from kernel.tokens import estimate_tokens, prompt_characters

SMALL = 512  # tokens; a shorter answer serves an internal step that waits for it
END = 1_500  # characters; instructions are at the ends of a prompt, quoted material is between
NEWEST = 4  # user turns

_JSON = re.compile(
    r"\b(?:answer|reply|respond|return|output|write|produce|give)\b[^.\n]{0,80}\bJSON\b"
    r"|\bJSON\b[^.\n]{0,40}\b(?:only|schema|object)\b",
    re.IGNORECASE,
)
_CODING = re.compile(
    r"```|\bdef \w+\(|\bTraceback\b|\b\w+\.(?:py|pyi|js|ts|rs|go|c|h|cpp|java|rb|sh|sql|toml)\b"
    r"|\b(?:code|function|method|bug|fix|refactor|implement|compile|algorithm|regex|script|patch|repository"
    r"|exception|unit tests?|tests? fails?)\b",
    re.IGNORECASE,
)
_REASONING = re.compile(
    r"\b(?:why|prove|derive|deduce|reason|step by step|calculate|compute|how many|how much|estimate|compare"
    r"|trade-?offs?|design|diagnose|root cause|solve|puzzle)\b",
    re.IGNORECASE,
)
FORM = (
    "End with one line of its own, `confidence: N`, where N from 0.00 to 1.00 says how sure you are that the answer "
    "is right and complete."
)
CHECK = (
    "Check your answer against the question: look for mistakes, for cases that are missing and for what you took for "
    "granted. Then give the whole answer again, corrected where it is wrong and unchanged where it is right, in the "
    f"form that was asked for and without a word about the check. {FORM}"
)


def worth_asking_again(conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits) -> bool:
    """False for a turn that offers tools, asks for JSON, or has few answer tokens: these get one pass."""
    if tools or limits.max_tokens <= SMALL or not conversation or conversation[-1].role not in ("user", "tool"):
        return False
    orders = "\n".join(_instructions(conversation))
    return not _JSON.search(orders) and bool(_CODING.search(orders) or _REASONING.search(orders))


def _instructions(conversation: Sequence[Message]) -> list[str]:
    """Both ends of system and user texts: cheap to search, whatever is quoted between."""
    texts = [m.text for m in conversation if m.role == "system"]
    texts += [m.text for m in conversation if m.role == "user"][-NEWEST:]
    return [part for text in texts for part in ((text[:END], text[-END:]) if len(text) > 2 * END else (text,))]


def first_question(conversation: Sequence[Message]) -> tuple[Message, ...]:
    """The question, with a request for a confidence line."""
    *before, last = conversation
    if last.role != "user":
        return (*conversation, Message(role="user", text=FORM))
    return (*before, last.model_copy(update={"text": f"{last.text}\n\n{FORM}"}))


def check_question(conversation: Sequence[Message], answer: str) -> tuple[Message, ...]:
    """The question, the last answer and a request to check it. Starts like :func:`first_question`, for the server's
    prefix cache.
    """
    return (*first_question(conversation), Message(role="assistant", text=answer), Message(role="user", text=CHECK))


def usage_bound(conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits, passes: int) -> Usage:
    """Maximum usage of ``passes`` passes, each with an answer of the maximum length."""
    if passes == 1:
        read = estimate_tokens(prompt_characters(conversation, tools))
    else:
        read = passes * estimate_tokens(prompt_characters(first_question(conversation), ()))
        read += (passes - 1) * (limits.max_tokens + estimate_tokens(len(CHECK)))
    return Usage(tokens_in=read, tokens_out=passes * limits.max_tokens, estimated=True)
