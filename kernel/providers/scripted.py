"""A provider that plays a script: for tests, demonstrations and measurements of everything but the model.

The script is a TOML or JSON file::

    tools = false            # capabilities
    infill = true

    [[infills]]              # for a hole: the first entry that matches
    prefix_ends = "return "
    suffix_has = ""
    texts = ["subtotal - discount"]

    [[turns]]                # for a conversation: played in order
    expect = ["make test_total pass"]
    text = "..."
    delay_s = 0.0

    [[turns]]
    calls = [{ name = "read_file", arguments = '{"path": "shop/cart.py"}' }]

    [[turns]]
    error = "rate_limited"   # or "collapsed"

    [[turns]]
    text = "..."
    report = { depth_milli = 2400, exit = "gate", proximity_milli = 930, signal = "loop" }
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from kernel.canary import CollapseDetected
from kernel.provider import (
    CallDelta,
    Capabilities,
    Done,
    Event,
    Health,
    Infill,
    InfillAnswer,
    InfillRequest,
    Limits,
    Message,
    Price,
    Provider,
    Report,
    TextDelta,
    ToolCall,
    ToolSchema,
    Usage,
)
from kernel.spec import FREE, DeclaredProvider, ProviderParts, ProviderSpec
from ledger.errors import ConfigError, ProviderBadOutput, ProviderUnavailable
from ledger.parsers.json import read_json
from ledger.parsers.toml import read_toml
from ledger.vocabulary import Frozen

CHARS_PER_TOKEN = 4
COLLAPSED = "collapsed"


class ScriptedSettings(Frozen):
    """``[kernel.scripted]``."""

    script: str = Field("", description="Path of the script that the scripted provider plays.")


SPEC = ProviderSpec(
    name="scripted",
    summary="a script",
    settings=ScriptedSettings,
    provider="kernel.providers.scripted:ScriptedProvider",
    capabilities=Capabilities(tools=True, infill=True, local=True),
    price=lambda settings: FREE,
)
NAME = SPEC.name


class ScriptedCall(Frozen):
    name: str
    arguments: str = "{}"


class ScriptedTurn(Frozen):
    """One answer. ``expect``: texts that the conversation must contain.

    ``error``: a kind of ``ProviderUnavailable``, or ``collapsed``, which is raised after the text, as by a real model.
    """

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    expect: tuple[str, ...] = ()
    error: str = ""
    delay_s: float = 0.0
    report: Report | None = None


class ScriptedInfill(Frozen):
    """Answers for holes that match; an empty condition matches every hole."""

    prefix_ends: str = ""
    suffix_has: str = ""
    texts: tuple[str, ...]
    report: Report | None = None


class ProviderScript(Frozen):
    """A whole script."""

    tools: bool = False
    infill: bool = False
    turns: tuple[ScriptedTurn, ...] = ()
    infills: tuple[ScriptedInfill, ...] = ()
    infill_delay_s: float = 0.0
    price: Price | None = FREE

    @classmethod
    def load(cls, path: Path) -> ProviderScript:
        """Reads a script. Raises ``ConfigError`` for an unreadable or invalid file."""
        try:
            text = path.read_text(encoding="utf-8")
            table: dict[str, Any] = (read_json if path.suffix == ".json" else read_toml)(text)
            return cls.model_validate(table)
        except (OSError, ValueError, ValidationError) as error:
            raise ConfigError(
                f"The script {path} cannot be played: {error}.", remedy="See kernel/providers/scripted.py for its form."
            ) from error


class ScriptedProvider(DeclaredProvider[ScriptedSettings]):
    """Plays one script from its beginning; ``sent`` and ``asked`` record the requests."""

    spec = SPEC

    def __init__(self, *, script: ProviderScript) -> None:
        super().__init__(settings=ScriptedSettings())
        self._script = script
        self._at = 0
        self.sent: list[tuple[Message, ...]] = []
        self.asked: list[InfillRequest] = []

    @classmethod
    def build(cls, settings: ScriptedSettings, parts: ProviderParts) -> Provider:
        if not settings.script:
            raise ConfigError(
                "kernel.provider is scripted, but there is no script.", remedy="Set kernel.scripted.script."
            )
        return cls(script=ProviderScript.load(Path(settings.script)))

    @property
    def model(self) -> str:
        return "script"

    @property
    def capabilities(self) -> Capabilities:
        return super().capabilities.limited(tools=self._script.tools, infill=self._script.infill)

    @property
    def price(self) -> Price | None:
        return self._script.price

    async def health(self) -> Health:
        return Health(ready=True, detail="a script")

    def count_tokens(self, text: str) -> int:
        return len(text) // CHARS_PER_TOKEN

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        self.sent.append(tuple(conversation))
        if self._at >= len(self._script.turns):
            raise ProviderBadOutput(
                f"The script has {len(self._script.turns)} turns, and another was requested.", provider=NAME
            )
        turn = self._script.turns[self._at]
        self._at += 1
        whole = "\n".join(message.text for message in conversation)
        missing = next((text for text in turn.expect if text not in whole), None)
        if missing is not None:
            raise ProviderBadOutput(f"Turn {self._at} expected {missing!r} in what it was sent.", provider=NAME)
        if turn.delay_s:
            await asyncio.sleep(turn.delay_s)
        if turn.error and turn.error != COLLAPSED:
            raise ProviderUnavailable(f"The script raises {turn.error}.", provider=NAME, kind=turn.error)
        if turn.text:
            yield TextDelta(text=turn.text)
        if turn.error:
            raise CollapseDetected(1.0, "loop", len(turn.text) // CHARS_PER_TOKEN, provider=NAME)
        for number, call in enumerate(turn.calls):
            yield CallDelta(call=ToolCall(id=f"call-{self._at}-{number}", name=call.name, arguments=call.arguments))
        usage = Usage(tokens_in=len(whole) // CHARS_PER_TOKEN, tokens_out=len(turn.text) // CHARS_PER_TOKEN)
        yield Done(finish="calls" if turn.calls else "stop", usage=usage, report=turn.report)

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        self.asked.append(request)
        if self._script.infill_delay_s:
            await asyncio.sleep(self._script.infill_delay_s)
        found = []
        for index, span in enumerate(request.spans):
            entry = self._fitting(span.prefix, span.suffix)
            for text in entry.texts[: request.samples]:
                found.append(Infill(span=index, text=text, logprob_milli=-100, report=entry.report))
        size = sum(len(s.prefix) + len(s.suffix) for s in request.spans) // CHARS_PER_TOKEN
        return InfillAnswer(infills=tuple(found), usage=Usage(tokens_in=size, tokens_out=len(found)))

    def _fitting(self, prefix: str, suffix: str) -> ScriptedInfill:
        for entry in self._script.infills:
            if prefix.endswith(entry.prefix_ends) and entry.suffix_has in suffix:
                return entry
        return ScriptedInfill(texts=())
