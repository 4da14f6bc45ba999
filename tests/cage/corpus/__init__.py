"""The corpus: hostile inputs as data, a file a family. A new family is a new file here; ``drive``: how it is played.

``rule`` is the beginning of the name of the rule that must stop the input. An input with a ``gap`` is known to get
through; it is listed with that reason and never counted as stopped. A family that is ``closed`` may have none.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FOLDER = Path(__file__).parent
Drive = Literal["path", "call", "file", "asked", "weakened", "change", "again", "shell", "mcp", "order"]


class Input(BaseModel):
    """One hostile input. Which fields it has depends on how its family is played (see ``tests/cage/play.py``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    name: str
    rule: str
    gap: str = ""
    path: str = ""
    tool: str = ""
    arguments: str = ""
    before: str = ""
    after: str | tuple[str, ...] = ""  # in parts, where the whole would have the shape of a key
    old: str = ""
    new: str = ""
    command: str = ""
    told: str = ""  # a pattern of what the model must hear
    never: str = ""  # and of what it must not
    where: str = ""
    marked: str = ""
    server: str = "odd"
    hello: str = "{}"
    listed: tuple[str, ...] = ("*",)
    tools: str = ""
    does: str = ""
    calls: str = ""
    gone: bool = False
    outlives: bool = False
    depth: int = 0

    @property
    def label(self) -> str:
        """A file name of its own."""
        return re.sub(r"[^a-z0-9]+", "_", f"{self.family} {self.name}".lower()).strip("_")

    @property
    def text(self) -> str:
        """What stands in the file afterwards."""
        return self.after if isinstance(self.after, str) else "".join(self.after)


class Family(BaseModel):
    """The inputs of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(alias="family")
    drive: Drive
    closed: bool = False
    input: tuple[Input, ...]

    @model_validator(mode="before")
    @classmethod
    def _of_the_family(cls, data: dict[str, Any]) -> dict[str, Any]:
        rule = data.pop("rule", "")
        data["input"] = [{"family": data["family"], "rule": rule, **row} for row in data["input"]]
        return data

    @model_validator(mode="after")
    def _is_sound(self) -> Family:
        names = [one.name for one in self.input]
        assert len(set(names)) == len(names), f"{self.name}: two inputs have the same name"
        assert all(one.rule for one in self.input), f"{self.name}: every input names the rule that must stop it"
        assert not (self.closed and any(one.gap for one in self.input)), f"{self.name}: no gap is allowed here"
        return self


@cache
def families() -> tuple[Family, ...]:
    """Every family, by name of file."""
    return tuple(
        Family.model_validate(tomllib.loads(path.read_text("utf-8"))) for path in sorted(FOLDER.glob("*.toml"))
    )
