"""Settings of the ways to reach a model: apart from them, because every command reads settings and few need a model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.vocabulary import Frozen


class OpenAISettings(Frozen):
    """``[kernel.openai]``."""

    base_url: str = Field(
        "http://127.0.0.1:8080/v1", description="Where the server answers, without `/chat/completions`."
    )
    model: str = Field("", description="Name of the model as the server knows it; empty: the server's only one.")
    tools: bool = Field(
        True, description="The server takes tools; off: a conversation describes and reads calls as plain text."
    )
    key_variable: str = Field(
        "OPENAI_API_KEY",
        description="Name of the environment variable that holds the API key; empty: none is sent. It goes over https, "
        "or to an address that you have set yourself.",
    )
    connect_s: float = Field(10.0, gt=0, description="Seconds for the connection, encryption included.")
    first_byte_s: float = Field(
        120.0, gt=0, description="Seconds from the sent request to the first byte of the answer's body."
    )
    idle_s: float = Field(60.0, gt=0, description="Seconds that an answer may fall silent.")
    total_s: float = Field(300.0, gt=0, description="Seconds for a whole call, unless the caller allows less.")
    health_s: float = Field(3.0, gt=0, description="Seconds for the question whether the server is there.")
    max_answer_bytes: int = Field(
        16 * 1024 * 1024, gt=0, description="An answer that is longer on the wire is refused."
    )
    price_input_usd_micro: int | None = Field(
        None,
        ge=0,
        description="Micro-dollars per million tokens read; 0 is free. Without it every call is denied.",
    )
    price_output_usd_micro: int | None = Field(
        None,
        ge=0,
        description="Micro-dollars per million tokens written; 0 is free. Without it every call is denied.",
    )
    canary: Literal["off", "observe", "stop"] = Field(
        "observe",
        description="What happens when an answer has collapsed (it says the same again and again); observe: it is "
        "reported, and no op acts on it; stop: it is refused, whoever asked, once it has ended.",
    )
    logprobs: bool = Field(
        False,
        description="The server tells log-probabilities: they are asked for, and the canary sees garbage too.",
    )
    reprompt: Literal["off", "auto"] = Field(
        "off",
        description="auto: a question of reasoning or coding, without tools and with more than 512 tokens for its "
        "answer, is asked again with the last answer to check, until that is sure or no longer changes; one that has "
        "collapsed does not count. What all passes may cost is held before the first.",
    )
    reprompt_passes: int = Field(4, ge=1, le=8, description="Most times that reprompt asks one question.")

    @property
    def key_may_go(self) -> bool:
        """Whether the API key may be sent. Who listens at the default address of this machine is anybody's guess."""
        return self.base_url.startswith("https:") or "base_url" in self.model_fields_set


class ScriptedSettings(Frozen):
    """``[kernel.scripted]``."""

    script: str = Field("", description="Path of the script that the scripted provider plays.")
