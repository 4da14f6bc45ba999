"""Contract files that differ from their counterpart in another repository."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class ContractPair(SensorSettings):
    """One contract and its counterpart."""

    here: str = Field(description="The file in this repository.")
    repository: str = Field(description="The checkout of the other repository on this machine, an absolute path.")
    there: str = Field(description="The file in the other repository.")
    part: str = Field(
        "", description="JSON pointer to the part that counts (JSON, TOML, YAML), like /definitions/order; all of it."
    )
    part_there: str | None = Field(None, description="The same in the other file, where it is called otherwise.")
    leads: Literal["there", "here", "either"] = Field(
        "there",
        description="Which side is followed. Only what this repository has to follow is work here; `either`: the side "
        "that has changed since both agreed.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for path in (self.here, self.there):
            if not path or path.startswith(("/", "-")) or {"..", ".", ""} & set(path.split("/")):
                raise ValueError(f"{path!r} is not a path inside a repository")
            if not path.isprintable():
                raise ValueError("a path is printable")
        if not self.repository.startswith("/") or ".." in self.repository.split("/") or "\0" in self.repository:
            raise ValueError(f"{self.repository!r} is not an absolute path")
        return self


class CrossRepoDriftSettings(SensorSettings):
    """Contracts that are also in another repository of this machine."""

    enabled: bool = Field(
        False,
        description="Work on contracts that differ from their counterpart in another repository. Off: which those are, "
        "and who follows whom, only you can say.",
    )
    pairs: dict[str, ContractPair] = Field({}, description="The contracts, by a name of your own.")
    debounce_s: float = Field(2.0, ge=0, description="It looks when no branch has moved for this long.")
    debounce_most_s: float = Field(30.0, gt=0, description="It looks after this long even if branches keep moving.")
    per_day: int = Field(10, ge=0, description="Most signals within 24 hours.")
    largest_bytes: int = Field(512 * 1024, ge=1, description="Larger contracts are not compared.")

    @model_validator(mode="after")
    def _named(self) -> Self:
        for name in self.pairs:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot name a pair: small letters, digits and dashes, at most 40")
        return self


SPEC = SensorSpec(
    source=Source("cross_repo_drift"),
    facts=SourceFacts(rank=4, urgency=Urgency.NORMAL, routed_as=SourceClass.STANDARD, from_outside=True),
    settings=CrossRepoDriftSettings,
    tighten={"enabled": "off"},
    sensor="sensors.drift.sensor:CrossRepoDrift",
    docs=(
        DocsRow(
            "a contract file that differs from its counterpart in another repository of this machine, at HEAD of both",
            "both agree; the other side is read as it is then",
            "no; you are always told before it lands",
        ),
    ),
)
