"""What can be switched off to learn what it brings: a name, and the settings that switch it off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from daemon.settings.config import Settings
from daemon.settings.layers import env_name, leaves

FEATURES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "memory": {"memory.reputation": "false", "memory.history": "false"},
        "lessons": {"memory.lessons": "false"},
        "grounding": {"grounding.policy": "false", "grounding.regroundings": "0"},
        "localisation": {"repair.localised": "false"},
        "moves": {"repair.moves": "false"},
        "sampling": {"repair.sampled": "false"},
        "tree": {"repair.branches": "0"},
        "batches": {"repair.batch": "1"},
    }
)


def without(name: str) -> dict[str, str]:
    """Variables of the environment that switch a feature off."""
    return {env_name(setting): value for setting, value in FEATURES[name].items()}


def with_all(names: Iterable[str]) -> dict[str, str]:
    """Variables that switch features on, those that are off by default too. Figures stay as the owner set them."""
    flags = [setting for name in names for setting, off in FEATURES[name].items() if off == "false"]
    return {env_name(setting): "true" for setting in flags}


def by_default() -> dict[str, bool]:
    """Features that are off by default: where every setting that switches it off is as it is anyway."""
    defaults = dict(leaves(Settings().model_dump(), Settings))
    return {
        name: all(str(defaults[setting]).lower() == value for setting, value in off.items())
        for name, off in FEATURES.items()
    }
