"""Asking the chat-completions provider, against a behaviour of the server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kernel.provider import CallDelta, Event, Limits, Message, TextDelta, ToolCall, ToolSchema
from kernel.providers.openai import OpenAISettings
from kernel.providers.openai.provider import OpenAIProvider
from ledger.clock import ManualClock
from ledger.errors import ProviderError
from tests.kernel.misbehaving import Behaviour, Misbehaving, Peer, chunk, usage

KEY = "sk-never-to-be-seen-0123456789"
NOW = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
ASK = (Message(role="system", text="You mend."), Message(role="user", text="Mend it."))
TOOL = ToolSchema(name="read_file", description="Reads.", parameters={"type": "object", "properties": {}})
SHORT_S = 0.15
STREAM = "text/event-stream"


def provider(base_url: str, *, key: str | None = KEY, model: str = "m", **fields: object) -> OpenAIProvider:
    chosen = OpenAISettings.model_validate({"base_url": base_url, "model": model, **fields})
    return OpenAIProvider(settings=chosen, api_key=lambda _: key, allow_network=False, clock=ManualClock(NOW))


async def ask(asked: OpenAIProvider, limits: Limits | None = None, *tools: ToolSchema) -> list[Event]:
    return [item async for item in asked.respond(ASK, tools, limits or Limits())]


async def against(behaviour: Behaviour, **fields: object) -> list[Event]:
    async with Misbehaving(behaviour) as server:
        return await ask(provider(server.base_url, **fields))


async def failing(behaviour: Behaviour, **fields: object) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await against(behaviour, **fields)
    return caught.value


def text_of(events: list[Event]) -> str:
    return "".join(item.text for item in events if isinstance(item, TextDelta))


def calls_of(events: list[Event]) -> list[ToolCall]:
    return [item.call for item in events if isinstance(item, CallDelta)]


async def good(peer: Peer) -> None:
    await peer.stream(chunk("Hel"), chunk("lo"), chunk(finish="stop"), usage(11, 2), "[DONE]")
