"""The model that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.settings.config import Config, load

if TYPE_CHECKING:
    from kernel.provider import Provider


def provider_of(config: Config) -> Provider:
    """Build the configured model; opens nothing. Raises ``ConfigError`` where the settings do not fit together."""
    from kernel.catalogue import build_provider

    kernel = config.settings.kernel
    return build_provider(kernel.provider, kernel, models_dir=config.places.models, api_key=config.secret)


def vet(config: Config) -> None:
    """Read the settings files again. Raises ``ConfigError`` where a boot with them would fail."""
    provider_of(load(config.places.repo))
