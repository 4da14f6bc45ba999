"""Which questions are asked more than once: those of reasoning and coding that have one answer in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kernel.provider import Limits, Message, ToolSchema

SMALL = 512  # tokens; what fits into so few is a helper's answer, and its caller waits for it
END = 1_500  # characters; orders stand at the ends of a prompt, what is quoted stands between
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


def worth_asking_again(conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits) -> bool:
    """False for a turn that offers tools, asks for JSON, or leaves little room: these are answered in one pass."""
    if tools or limits.max_tokens <= SMALL or not conversation or conversation[-1].role not in ("user", "tool"):
        return False
    orders = "\n".join(_orders(conversation))
    return not _JSON.search(orders) and bool(_CODING.search(orders) or _REASONING.search(orders))


def _orders(conversation: Sequence[Message]) -> list[str]:
    """Both ends of what system and user say: cheap to search, whatever stands between them."""
    asked = [m.text for m in conversation if m.role == "system"]
    asked += [m.text for m in conversation if m.role == "user"][-NEWEST:]
    return [part for text in asked for part in ((text[:END], text[-END:]) if len(text) > 2 * END else (text,))]
