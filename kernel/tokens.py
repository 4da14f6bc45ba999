"""How many tokens a text may be, where only a server could count them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Final

from kernel.provider import Message, ToolSchema

CHARS_PER_TOKEN: Final = 3.6


def estimate_tokens(characters: int) -> int:
    """For servers that do not say: rounded up, so that a budget errs on the safe side."""
    return math.ceil(characters / CHARS_PER_TOKEN)


def prompt_characters(conversation: Sequence[Message], tools: Sequence[ToolSchema]) -> int:
    """What the server's tokenizer will see, without the template around it."""
    spoken = sum(len(m.text) + sum(len(c.name) + len(c.arguments) for c in m.calls) for m in conversation)
    return spoken + sum(len(json.dumps(tool.model_dump())) for tool in tools)
