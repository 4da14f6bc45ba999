"""Names under which MCP tools are offered to a model: ``mcp_<server>_<tool>``. Pure.

A server's name has no underscore, so the one after it ends the name, and two servers never share the name of a tool.
"""

from __future__ import annotations

import re
import unicodedata

PREFIX = "mcp_"
LONGEST = 64  # limit of the chat-completions protocol
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})  # controls, marks of direction, zero width, unassigned


def tool_name(server: str, tool: str) -> str:
    """The offered name: odd characters become ``_``, cut at ``LONGEST``. Different tools may get the same name."""
    return (f"{PREFIX}{server}_" + _ODD.sub("_", tool))[:LONGEST]


def server_of(name: str) -> str | None:
    """The server in an offered name; None when it is not such a name."""
    server, dash, _ = name.removeprefix(PREFIX).partition("_")
    return server if name.startswith(PREFIX) and dash else None


def visible(text: str, limit: int) -> str:
    """At most ``limit`` characters of ``text``, without invisible ones; newlines and tabs are kept."""
    kept = (c for c in text[: limit * 2] if c in "\n\t" or unicodedata.category(c) not in _UNSEEN)
    clean = "".join(kept)
    return clean if len(clean) <= limit else clean[: max(0, limit - 3)] + "..."
