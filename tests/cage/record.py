"""What the ledger says of tool calls, and what a model was told of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kernel.provider import ToolCall
from ledger.store import Ledger

RECORDED_CHARS = 2_000


@dataclass
class Called:
    """One call: the rule that judged it, and the rules by which its effects were put back. ``op``: whose it was."""

    op: str
    rule: str
    ok: bool
    refused: list[str] = field(default_factory=list)


class Calls:
    """Every recorded call, by tool and arguments; the last one counts where there are several.

    ``servers``: all that is recorded of what MCP servers list; ``marked``: rules of gate 18, each with the words of the
    text that it met.
    """

    marked: tuple[tuple[str, frozenset[str]], ...] = ()

    def __init__(self, rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
        self._calls: dict[tuple[str, str], Called] = {}
        self._marks = [row for _, row in rows if row.get("event") == "outside.marked"]
        changes = ("mcp.connected", "mcp.tools")
        self.servers = json.dumps([row for _, row in rows if row.get("event") in changes], ensure_ascii=False)
        last: Called | None = None
        for op, row in rows:
            if row.get("event") == "tool.called":
                last = Called(op, str(row["rule"]), bool(row["ok"]))
                self._calls[str(row["tool"]), str(row["arguments"])] = last
            elif row.get("event") == "gate" and row.get("tool") == "bash" and last is not None:
                last.refused.append(str(row["rule"]))

    @classmethod
    async def of(cls, ledger: Ledger) -> Calls:
        rows = [(e.op_id or "", e.payload) for e in await ledger.entries()]
        made = cls(rows)
        marks = [row for _, row in rows if row.get("event") == "outside.marked"]
        texts = [json.loads(await ledger.get_blob(str(row["facts"])))["text"] for row in marks]
        words = [frozenset(re.findall(r"\w+", text)) for text in texts]
        made.marked = tuple((str(row["rule"]), found) for row, found in zip(marks, words, strict=True))
        return made

    def marked_at(self, where: str) -> list[str]:
        """The rules by which gate 18 has marked what came from there."""
        return [str(row["rule"]) for row in self._marks if any(f": {where} " in text for text in row["evidence"])]

    def find(self, call: ToolCall) -> Called | None:
        """None for one that was never made."""
        return self._calls.get((call.name, call.arguments[:RECORDED_CHARS]))
