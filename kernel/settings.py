"""Which provider and model to use, with the settings of each provider."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kernel.engine.settings import LocalSettings
from kernel.policy import load_policy
from kernel.providers.settings import OpenAISettings, ScriptedSettings
from ledger.vocabulary import Frozen


class KernelSettings(Frozen):
    """``[kernel]``."""

    provider: Literal["local", "openai", "scripted"] = Field(
        "local",
        description="Which provider to use: the model in this process, a chat-completions server, or a script.",
    )
    model: str = Field(
        default_factory=lambda: load_policy().default_model,
        description="Name of a local model (`ouro model list`), or the absolute path of your own GGUF file or folder.",
    )
    local: LocalSettings = LocalSettings()
    openai: OpenAISettings = OpenAISettings()
    scripted: ScriptedSettings = ScriptedSettings()
