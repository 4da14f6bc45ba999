"""Token estimates for texts whose tokens only a server could count."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Final

from kernel.provider import Message, ToolSchema

CHARS_PER_TOKEN: Final = 3.6


def estimate_tokens(characters: int) -> int:
    """Estimated tokens of a text, rounded up so that a budget errs on the safe side."""
    return math.ceil(characters / CHARS_PER_TOKEN)


def prompt_characters(conversation: Sequence[Message], tools: Sequence[ToolSchema]) -> int:
    """Characters of a prompt as the server's tokenizer sees it, without the chat template."""
    messages = sum(len(m.text) + sum(len(c.name) + len(c.arguments) for c in m.calls) for m in conversation)
    return messages + sum(len(json.dumps(tool.model_dump())) for tool in tools)
