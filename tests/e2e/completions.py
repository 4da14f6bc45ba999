"""A chat-completions server on loopback that plays a model: it answers each request as its author says."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from governance.conversation import prompts
from governance.conversation.protocol import block
from kernel.providers.openai import OpenAISettings
from kernel.providers.openai.provider import OpenAIProvider
from tests.kernel.misbehaving import Misbehaving, Peer, call, chunk, usage


@dataclass(frozen=True)
class Asked:
    """One request of GENERATE: its messages as they came over the wire, and which turn of its conversation it is."""

    messages: list[dict[str, Any]]
    tools: list[str]

    @property
    def turn(self) -> int:
        return 1 + sum(m["role"] == "assistant" for m in self.messages)

    @property
    def text(self) -> str:
        return "\n".join(str(m["content"] or "") for m in self.messages)


@dataclass
class Reply:
    """Text and calls (name, arguments as they are sent, id) of one turn; or ``raw`` chunks; ``silent``: never ends."""

    text: str = ""
    calls: Sequence[tuple[str, str, str]] = ()
    raw: Sequence[Any] = ()
    silent: bool = False

    def chunks(self) -> list[Any]:
        if self.raw:
            return [*self.raw]
        pieces = [call(n, id=id, name=name, arguments=given) for n, (name, given, id) in enumerate(self.calls)]
        parts = [chunk(self.text)] if self.text else []
        parts += [chunk(calls=pieces[at : at + 50]) for at in range(0, len(pieces), 50)]
        return [*parts, chunk(finish="tool_calls" if pieces else "stop"), usage(10, 10), "[DONE]"]


def calls(*made: tuple[str, dict[str, Any]], text: str = "") -> Reply:
    """A turn of well-formed calls."""
    return Reply(text=text, calls=[(name, json.dumps(given), f"id-{n}") for n, (name, given) in enumerate(made)])


def blocks(*made: tuple[str, dict[str, Any]], text: str = "") -> Reply:
    """The same for a server without tools."""
    return Reply(text="\n".join([text, *(block(name, json.dumps(given)) for name, given in made)]))


@dataclass
class Model:
    """``async with model.serve()``; ``say`` answers the turns of GENERATE, ``asked`` keeps them."""

    say: Callable[[Asked], Reply]
    files: Sequence[str] = ()
    changes: Sequence[str] = ()
    asked: list[Asked] = field(default_factory=list)

    def serve(self) -> Misbehaving:
        server = Misbehaving(lambda peer: self._answer(peer, server))
        return server

    async def _answer(self, peer: Peer, server: Misbehaving) -> None:
        body = server.requests[-1].body
        if not body:  # the question whether the server is there
            await peer.head(content_type="application/json")
            await peer.send(b'{"data": []}')
            return
        reply = self._reply(body)
        if reply.silent:
            await peer.head(content_type="text/event-stream")
            await peer.gone()
            return
        await peer.stream(*reply.chunks())

    def _reply(self, body: dict[str, Any]) -> Reply:
        system = body["messages"][0]["content"]
        if system == prompts.EXPAND:
            return Reply(json.dumps({"files": [{"path": path, "reason": "named"} for path in self.files]}))
        if system == prompts.PLAN:
            steps = [{"path": path, "what": "repair it"} for path in self.changes]
            return Reply(json.dumps({"approach": "Mend the cause.", "ordered_changes": steps}))
        asked = Asked(body["messages"], [tool["function"]["name"] for tool in body.get("tools", ())])
        self.asked.append(asked)
        return self.say(asked)


def provider_at(server: Misbehaving, **settings: Any) -> OpenAIProvider:
    """The real provider, asking ``server``; it costs nothing."""
    fields = {"base_url": server.base_url, "price_input_usd_micro": 0, "price_output_usd_micro": 0, **settings}
    return OpenAIProvider(settings=OpenAISettings.model_validate(fields), api_key=lambda _: None)
