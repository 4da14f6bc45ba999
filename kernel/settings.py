"""Which provider and model to use, with the settings of each provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from kernel.catalogue import PROVIDERS, SPECS
from kernel.policy import load_policy
from ledger.vocabulary import Frozen


class KernelSettings(Frozen):
    """Section ``[kernel]`` of the settings, with a subsection for each provider of the catalogue."""

    provider: str = PROVIDERS[0]
    model: str = Field(
        default_factory=lambda: load_policy().default_model,
        description="Name of a local model (`ouro model list`), or the absolute path of your own GGUF file or folder.",
    )


def _with_providers(base: type[KernelSettings]) -> type[KernelSettings]:
    """``base`` with ``provider`` limited to the catalogue's names, and a field for the settings of each provider."""
    *most, last = (spec.summary for spec in SPECS.values())
    choice = Field(PROVIDERS[0], description=f"Which provider to use: {', '.join(most)}, or {last}.")
    sections: dict[str, Any] = {"provider": (Literal[tuple(SPECS)], choice)}
    sections |= {name: (spec.settings, spec.settings()) for name, spec in SPECS.items()}
    return create_model(base.__name__, __base__=base, __doc__=base.__doc__, **sections)


if not TYPE_CHECKING:
    KernelSettings = _with_providers(KernelSettings)
