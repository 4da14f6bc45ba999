"""A server's tool in the toolbox: judged, run and recorded like a built-in one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from ledger.errors import ToolError
from tools.manifest import Category, Prepared
from tools.mcp.offers import Offer

CallServer = Callable[[str, dict[str, Any]], Awaitable[str]]
"""Calls a tool of one server by the server's own name for it."""


@dataclass(frozen=True, kw_only=True)
class McpTool:
    """``timeout_s`` is a backstop, longer than the server's own time-out."""

    offer: Offer
    timeout_s: float
    call: CallServer
    category: Category | None = None
    runs_tests: bool = False

    @property
    def name(self) -> str:
        return self.offer.name

    @property
    def description(self) -> str:
        return self.offer.description

    @property
    def writes(self) -> bool:
        return self.offer.writes

    def schema(self) -> dict[str, Any]:
        """The server's argument schema, cleaned and limited."""
        return self.offer.parameters

    def prepare(self, arguments: str) -> Prepared:
        """Check that the text is a JSON object with the required members; the server validates the rest.

        Raises ``ToolError``.
        """
        try:
            read = from_json(arguments or "{}", allow_inf_nan=False)
            if not isinstance(read, dict):
                raise ToolError(f"The arguments of {self.name} are not a JSON object.")
            text = json.dumps(read, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            text.encode()
        except ValueError as error:
            raise ToolError(f"The arguments of {self.name} are not right: {error}.") from error
        missing = [name for name in self.offer.parameters.get("required", ()) if name not in read]
        if missing:
            raise ToolError(f"The arguments of {self.name} are not right: {', '.join(map(repr, missing))} is missing.")
        return Prepared(arguments=text, paths=(), start=lambda _: self.call(self.offer.tool, read))
