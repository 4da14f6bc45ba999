"""Result of a call as text for a model: text parts unchanged, others as a short description. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tools.mcp.names import visible

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock

MOST_PARTS = 200


def told(result: CallToolResult) -> str:
    """The first ``MOST_PARTS`` parts of ``result``; its structured content when it has no parts."""
    parts = [_part(block) for block in result.content[:MOST_PARTS]]
    if len(result.content) > MOST_PARTS:
        parts.append(f"[{len(result.content) - MOST_PARTS} more parts]")
    if not parts and result.structured_content is not None:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False, indent=1))
    return "\n".join(parts) or "[an empty result]"


def _part(block: ContentBlock) -> str:
    if block.type == "text":
        return block.text
    if block.type == "image" or block.type == "audio":
        return f"[{block.type}, {_word(block.mime_type)}, {_size(block.data)}: not shown]"
    if block.type == "resource_link":
        return f"[link to {_word(block.uri)}, {_word(block.mime_type or 'no type')}: {_word(block.name)}]"
    held = block.resource
    kind = _word(held.mime_type or "no type")
    text = getattr(held, "text", None)
    if isinstance(text, str):
        return f"[resource {_word(held.uri)}, {kind}]\n{text}"
    return f"[resource {_word(held.uri)}, {kind}, {_size(getattr(held, 'blob', ''))}: not shown]"


def _word(text: object) -> str:
    return " ".join(visible(str(text), 200).split())


def _size(base64: str) -> str:
    return f"{len(base64) * 3 // 4} bytes"
