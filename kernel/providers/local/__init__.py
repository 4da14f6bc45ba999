"""The model that runs in this process. Settings (``kernel.engine.settings``) and spec."""

from __future__ import annotations

from importlib.util import find_spec

from kernel.engine.settings import LocalSettings
from kernel.provider import Capabilities
from kernel.spec import FREE, ProviderParts, ProviderSpec, SetupCheck
from ledger.errors import OuroError

INSTALL = ".venv/bin/pip install -c constraints/cpu.txt -e '.[kernel]'"


def check_model(settings: LocalSettings, parts: ProviderParts) -> tuple[SetupCheck, ...]:
    """The numeric library and the weights. Nothing is loaded."""
    there = find_spec("torch") is not None
    torch = SetupCheck(
        name="torch",
        ok=there,
        detail="installed" if there else "not installed",
        essential=True,
        remedy="" if there else f"In the clone of Ouroboros: {INSTALL}",
    )
    return torch, _check_weights(parts)


def _check_weights(parts: ProviderParts) -> SetupCheck:
    """Weights that are known by name, or the owner's own at a path."""
    from kernel.weights import own, store
    from kernel.weights.registry import load_registry

    name, known = parts.model, load_registry().weights
    if own.is_path(name):
        try:
            named, _ = own.describe_weights(name)
        except OuroError as error:
            return SetupCheck(name="weights", ok=False, detail=error.message, essential=True, remedy=error.remedy)
        return SetupCheck(name="weights", detail=f"{named}, your own at {name}", essential=True)
    if name not in known:
        remedy = f"Set kernel.model to one of {', '.join(sorted(known))}; or to the whole path of your own."
        detail = f"{name!r} is no model that is known by name"
        return SetupCheck(name="weights", ok=False, detail=detail, essential=True, remedy=remedy)
    here = store.is_published(parts.models_dir, known[name]) or bool(
        store.converted_folders(parts.models_dir, name, known[name])
    )
    return SetupCheck(
        name="weights",
        ok=here,
        detail=f"{name} {'is here' if here else 'is not on this machine'}",
        essential=True,
        remedy="" if here else f"ouro model pull {name}",
    )


SPEC = ProviderSpec(
    name="local",
    summary="the model in this process",
    settings=LocalSettings,
    provider="kernel.providers.local.provider:LocalProvider",
    capabilities=Capabilities(infill=True, logprobs=True, local=True),
    price=lambda settings: FREE,
    check=check_model,
)
