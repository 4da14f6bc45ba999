"""Builds the provider that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kernel.provider import Provider
from kernel.providers.settings import OpenAISettings
from kernel.settings import KernelSettings
from ledger.errors import ConfigError


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
    if name == "local":
        from kernel.providers.local import LocalProvider

        return LocalProvider(model=settings.model, settings=settings.local, models_dir=models_dir)
    if name == "openai":
        from kernel.providers.openai import OpenAIProvider

        server = OpenAIProvider(settings=settings.openai, api_key=api_key, allow_network=allow_network)
        return _with_reprompt(server, settings.openai)
    if name == "scripted":
        from kernel.providers.scripted import ProviderScript, ScriptedProvider

        if not settings.scripted.script:
            raise ConfigError(
                "kernel.provider is scripted, but there is no script.", remedy="Set kernel.scripted.script."
            )
        return ScriptedProvider(script=ProviderScript.load(Path(settings.scripted.script)))
    raise ConfigError(f"There is no provider {name!r}.", remedy="Known providers: local, openai, scripted.")


def _with_reprompt(server: Provider, settings: OpenAISettings) -> Provider:
    """``server``, wrapped in the re-prompt loop when the settings switch it on."""
    if settings.reprompt == "off":
        return server
    from kernel.providers.reprompt import Reprompted

    return Reprompted(server, passes=settings.reprompt_passes, watch=settings.canary != "off")
