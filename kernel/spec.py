"""What a provider declares: one spec, from which ``kernel.catalogue`` and ``kernel.settings`` derive all the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast

from kernel.provider import Capabilities, Price, Provider
from ledger.vocabulary import Frozen

S = TypeVar("S", bound=Frozen)

FREE = Price(input=0, output=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderParts:
    """What a provider gets beside its own settings."""

    model: str  # ``kernel.model``: name of a local model, or a path of the owner's own weights
    models_dir: Path
    api_key: Callable[[str], str | None]  # an API key by the name of its environment variable
    allow_network: bool = True


class SetupCheck(Frozen):
    """One line of ``ouro doctor`` about a provider. Nothing can be repaired while an essential one fails."""

    name: str = "kernel"
    ok: bool = True
    detail: str
    essential: bool = False
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec(Generic[S]):
    """Declaration of a provider. It imports nothing heavy: every command reads the settings, few need a model."""

    name: str  # value of ``kernel.provider``, and the section ``[kernel.NAME]``
    summary: str  # what it is, as part of a sentence: "a chat-completions server"
    settings: type[S]
    provider: str  # ``module:Class`` of a DeclaredProvider, imported when it is built
    capabilities: Capabilities  # the most that any of its models can do
    price: Callable[[S], Price | None]  # by the settings; None when unknown, and then every call is denied
    check: Callable[[S, ProviderParts], tuple[SetupCheck, ...]] | None = None  # None: it needs nothing on this machine

    def check_setup(self, settings: S, parts: ProviderParts) -> tuple[SetupCheck, ...]:
        """What it needs on this machine. Nothing is opened or loaded."""
        if self.check is None:
            return (SetupCheck(detail=f"{self.name}; nothing is needed on this machine"),)
        return self.check(settings, parts)

    def build(self, settings: S, parts: ProviderParts) -> Provider:
        """The provider. Loads no model and opens no connection."""
        module, _, name = self.provider.partition(":")
        made = cast("type[DeclaredProvider[S]]", getattr(import_module(module), name))
        return made.build(settings, parts)


class DeclaredProvider(Provider, Generic[S]):
    """Base of the providers: name, capabilities and price as the spec declares them for these settings."""

    spec: ClassVar[ProviderSpec[Any]]

    def __init__(self, *, settings: S) -> None:
        self._settings = settings

    @classmethod
    def build(cls, settings: S, parts: ProviderParts) -> Provider:
        """The provider for these settings. Raises ``ConfigError`` where they do not fit together."""
        return cls(settings=settings)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def capabilities(self) -> Capabilities:
        return self.spec.capabilities

    @property
    def price(self) -> Price | None:
        return self.spec.price(self._settings)

    async def aclose(self) -> None:
        """Nothing is open between calls."""
