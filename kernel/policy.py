"""Models and infill formats from ``policy.toml``, as typed values."""

from __future__ import annotations

from importlib import resources

from ledger.errors import ConfigError
from ledger.parsers.toml import read_toml
from ledger.vocabulary import Frozen


class InfillFamily(Frozen):
    """Control tokens of a model family's fill-in-the-middle format."""

    fim_prefix: str
    fim_suffix: str
    fim_middle: str


class LocalModel(Frozen):
    """A model that can run in this process. ``context`` is its maximum of tokens, prompt and answer together.

    A model without a ``family`` cannot fill holes.
    """

    weights: str
    family: str = ""
    context: int


class ModelPolicy(Frozen):
    """The content of ``policy.toml``."""

    default_model: str
    families: dict[str, InfillFamily]
    models: dict[str, LocalModel]

    def model(self, name: str) -> LocalModel:
        """Raises ``ConfigError`` for an unknown model."""
        if name not in self.models:
            known = ", ".join(sorted(self.models))
            raise ConfigError(f"The model {name!r} is not known.", remedy=f"Known models: {known}.")
        return self.models[name]

    def family_of_path(self, path: str, named: str) -> InfillFamily | None:
        """Infill format of the owner's own weights: the family ``named`` in the settings, else one whose name occurs in
        the path, else None.

        Raises ``ConfigError`` for an unknown name.
        """
        if named:
            if named not in self.families:
                known = ", ".join(sorted(self.families))
                raise ConfigError(f"The family {named!r} is not known.", remedy=f"Known families: {known}.")
            return self.families[named]
        return next((family for name, family in self.families.items() if name in path.lower()), None)


def load_policy() -> ModelPolicy:
    """The policy shipped with this package."""
    text = resources.files(__package__).joinpath("policy.toml").read_text(encoding="utf-8")
    return ModelPolicy.model_validate(read_toml(text))
