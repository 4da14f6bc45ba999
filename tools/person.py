"""Port for questions of a tool to a person. The answer is data and approves nothing."""

from __future__ import annotations

from typing import Protocol


class Person(Protocol):
    """A person who may be available."""

    async def ask(self, question: str, choices: tuple[str, ...]) -> str | None:
        """The answer; None when there was none in time. Raises ``ToolError`` when no question is allowed now."""
        ...
