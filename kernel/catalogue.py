"""The list of providers, and what is derived from it. A new provider is its file and a line in PROVIDERS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.provider import Provider
from kernel.spec import FREE, ProviderParts, ProviderSpec, SetupCheck
from ledger.errors import ConfigError

if TYPE_CHECKING:
    from kernel.settings import KernelSettings

PROVIDERS = (
    "local",
    "openai",
    "scripted",
)
SPECS: Mapping[str, ProviderSpec[Any]] = {
    spec.name: spec for spec in (import_module(f"kernel.providers.{name}").SPEC for name in PROVIDERS)
}


def build_provider(
    name: str,
    settings: KernelSettings,
    *,
    models_dir: Path,
    api_key: Callable[[str], str | None],
    allow_network: bool = True,
) -> Provider:
    """The provider called ``name``. Loads no model and opens no connection. Raises ``ConfigError`` for an unknown
    name.
    """
    parts = ProviderParts(model=settings.model, models_dir=models_dir, api_key=api_key, allow_network=allow_network)
    spec = _spec(name)
    return spec.build(getattr(settings, name), parts)


def check_setup(settings: KernelSettings, *, models_dir: Path) -> tuple[SetupCheck, ...]:
    """What the chosen provider needs on this machine. Nothing is loaded or called."""
    parts = ProviderParts(model=settings.model, models_dir=models_dir, api_key=lambda _: None)
    return _spec(settings.provider).check_setup(getattr(settings, settings.provider), parts)


def docs_table() -> str:
    """The table of providers in docs/kernel.md."""
    rows = ["| `kernel.provider` | what | can at most | price |", "|---|---|---|---|"]
    for spec in SPECS.values():
        able = ", ".join(name for name, there in spec.capabilities.model_dump().items() if there and name != "local")
        price = spec.price(spec.settings())
        cost = "unknown until it is set" if price is None else "free" if price == FREE else "as declared"
        rows.append(f"| `{spec.name}` | {spec.summary} | {able or 'converse'} | {cost} |")
    return "\n".join(rows)


def _spec(name: str) -> ProviderSpec[Any]:
    if name not in SPECS:
        raise ConfigError(f"There is no provider {name!r}.", remedy=f"Known providers: {', '.join(SPECS)}.")
    return SPECS[name]
