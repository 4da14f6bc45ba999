"""Chat-completions servers: vLLM, llama.cpp, Ollama, OpenAI and others. Settings and spec."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kernel.provider import Capabilities, Price
from kernel.spec import ProviderParts, ProviderSpec, SetupCheck
from ledger.vocabulary import Frozen


class OpenAISettings(Frozen):
    """``[kernel.openai]``."""

    base_url: str = Field("http://127.0.0.1:8080/v1", description="URL of the server, without `/chat/completions`.")
    model: str = Field("", description="Name of the model as the server knows it; empty: the server's only one.")
    tools: bool = Field(
        True,
        description="Use the server's tool calls; off: tools and calls are exchanged as plain text.",
    )
    key_variable: str = Field(
        "OPENAI_API_KEY",
        description="Name of the environment variable that holds the API key; empty: none is sent. It is sent over "
        "https, or to an address that you have configured.",
    )
    connect_s: float = Field(10.0, gt=0, description="Seconds for the connection, encryption included.")
    first_byte_s: float = Field(
        120.0, gt=0, description="Seconds from the sent request to the first byte of the answer's body."
    )
    idle_s: float = Field(60.0, gt=0, description="Maximum seconds between two parts of an answer.")
    total_s: float = Field(300.0, gt=0, description="Seconds for a whole call, unless the caller allows less.")
    health_s: float = Field(3.0, gt=0, description="Seconds for the check whether the server is reachable.")
    max_answer_bytes: int = Field(16 * 1024 * 1024, gt=0, description="A longer answer is rejected.")
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
        description="What happens when an answer has collapsed (it repeats itself endlessly); observe: it is reported, "
        "and no op uses it; stop: it is rejected for every caller, once it has ended.",
    )
    logprobs: bool = Field(
        False,
        description="The server returns log-probabilities: they are requested, and the canary detects garbage, too.",
    )
    reprompt: Literal["off", "auto"] = Field(
        "off",
        description="auto: a question of reasoning or coding, without tools and with more than 512 tokens for its "
        "answer, is repeated with the last answer to check, until that is confident or no longer changes; a "
        "collapsed answer does not count. The maximum cost of all passes is reserved before the first.",
    )
    reprompt_passes: int = Field(4, ge=1, le=8, description="Most times that reprompt asks one question.")

    @property
    def may_send_key(self) -> bool:
        """Whether the API key may be sent: over https, or to a configured address. Any program may listen at the
        default one.
        """
        return self.base_url.startswith("https:") or "base_url" in self.model_fields_set

    @property
    def price(self) -> Price | None:
        """None unless both prices are set."""
        read, written = self.price_input_usd_micro, self.price_output_usd_micro
        return None if read is None or written is None else Price(input=read, output=written)


def check_server(server: OpenAISettings, parts: ProviderParts) -> tuple[SetupCheck, ...]:
    """The configured server. It is not called."""
    missing = [] if server.model else ["Set kernel.openai.model; without a name only a server with one model answers."]
    if server.price is None:
        missing.append(
            "Set kernel.openai.price_input_usd_micro and price_output_usd_micro (0 where it is free): "
            "without both every call is denied."
        )
    key = f"with the key in {server.key_variable}, where it is set" if server.may_send_key else "without a key"
    model = server.model or "is not named"
    priced = "" if server.price else ", prices are not set"
    return (
        SetupCheck(
            ok=not missing,
            detail=f"openai at {server.base_url} {key}, model {model}{priced}",
            remedy=" ".join(missing),
        ),
    )


SPEC = ProviderSpec(
    name="openai",
    summary="a chat-completions server",
    settings=OpenAISettings,
    provider="kernel.providers.openai.provider:OpenAIProvider",
    capabilities=Capabilities(tools=True, logprobs=True),
    price=lambda settings: settings.price,
    check=check_server,
)
