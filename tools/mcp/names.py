"""Names of servers' tools as a model is told them: ``mcp_<server>_<tool>``. Pure.

A server's name has no underscore, so that the one behind it ends the name and two servers never share a tool's name.
"""

from __future__ import annotations

import re
import unicodedata

PREFIX = "mcp_"
LONGEST = 64  # what the chat-completions protocol takes
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})  # controls, marks of direction, zero width, unassigned


def tool_name(server: str, tool: str) -> str:
    """The offered name: odd characters become ``_``, what is too long is cut. Different tools may get the same."""
    return (f"{PREFIX}{server}_" + _ODD.sub("_", tool))[:LONGEST]


def server_of(name: str) -> str | None:
    """The server that a tool's name points at; None where it is not such a name."""
    server, dash, _ = name.removeprefix(PREFIX).partition("_")
    return server if name.startswith(PREFIX) and dash else None


def visible(text: str, limit: int) -> str:
    """At most ``limit`` characters of ``text``, without those that cannot be seen; line ends stay."""
    kept = (c for c in text[: limit * 2] if c in "\n\t" or unicodedata.category(c) not in _UNSEEN)
    clean = "".join(kept)
    return clean if len(clean) <= limit else clean[: max(0, limit - 3)] + "..."
