"""The door to a person: a tool may ask one, and what he says is data. Who he is and how he is reached is not ours."""

from __future__ import annotations

from typing import Protocol


class Person(Protocol):
    """Somebody who may be there."""

    async def ask(self, question: str, choices: tuple[str, ...]) -> str | None:
        """The answer; None when nobody gave one in time. Raises ``ToolError`` when there may be no question now."""
        ...
