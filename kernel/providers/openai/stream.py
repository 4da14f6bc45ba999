"""Parses a streamed chat completion: server-sent events, and their chunks into text, tool calls, finish reason and
usage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kernel.provider import ToolCall, Usage
from kernel.providers.openai.wire import PROVIDER, error_for_status, error_status, error_text, token_logprobs
from kernel.tokens import estimate_tokens
from ledger.errors import ProviderBadOutput

MOST_NAME: Final = 1_000
"""Characters that the name of a tool call may have."""
_BOM = b"\xef\xbb\xbf"
Finish = Literal["stop", "length", "calls"]
_FINISHES: Final[dict[str, Finish]] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "tool_calls": "calls",
    "function_call": "calls",
}


class SseParser:
    """Server-sent events from a body in arbitrary pieces. Only ``data`` fields are kept.

    Lines are split as bytes and decoded whole, so that a character split between two pieces stays intact. Invalid UTF-8
    is an error rather than a replacement character, since the stream may be code.
    """

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of the unfinished line
        self._data: list[str] = []
        self._after_cr = False  # a following newline belongs to the finished line
        self._first_line = True

    def feed(self, piece: bytes) -> list[str]:
        """The data of every event that ``piece`` completes. Raises ``UnicodeDecodeError``."""
        if not piece:
            return []
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        events: list[str] = []
        for line in piece.splitlines(keepends=True):
            content = line.rstrip(b"\r\n")
            self._line.append(content)
            if len(content) < len(line):
                self._end_line(events)
        return events

    def close(self) -> list[str]:
        """Ends the body: an event that only lacks its blank line still counts."""
        events: list[str] = []
        self._end_line(events)
        self._end_event(events)
        return events

    def _end_line(self, events: list[str]) -> None:
        line = b"".join(self._line)
        self._line.clear()
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            self._end_event(events)
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8"))

    def _end_event(self, events: list[str]) -> None:
        if self._data:
            events.append("\n".join(self._data))
            self._data.clear()


class _Wire(BaseModel):
    """Base of the chunk models; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Function(_Wire):
    name: str | None = None
    arguments: str | None = None


class _CallPiece(_Wire):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(_Wire):
    content: str | None = None
    refusal: str | None = None
    tool_calls: tuple[_CallPiece, ...] | None = None


class _Choice(_Wire):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: object = None  # optional: an invalid value does not invalidate the answer


class _Usage(_Wire):
    # No call has more; larger counts would not fit into the ledger, where they are summed.
    prompt_tokens: int = Field(ge=0, lt=2**31)
    completion_tokens: int = Field(ge=0, lt=2**31)


class _Chunk(_Wire):
    choices: tuple[_Choice, ...] | None = None
    usage: _Usage | None = None
    error: object = None


@dataclass(kw_only=True)
class _Slot:
    """A tool call under assembly. ``arguments`` are joined once: an answer may bring them in a million pieces."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class StreamAssembler:
    """Assembles the data of the events; ``complete`` after a finish reason."""

    def __init__(self, *, where: str, clean: Callable[[str], str]) -> None:
        self._where = where
        self._clean = clean
        self._slots: list[_Slot] = []
        self._by_index: dict[int, _Slot] = {}
        self._reason: str | None = None
        self._usage: _Usage | None = None
        self._texts: list[str] = []
        self.logprobs: list[float] = []  # of the text's tokens, in nats; empty when the server sends none

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    @property
    def complete(self) -> bool:
        """True when only the usage may still arrive."""
        return self._reason is not None

    def take(self, data: str) -> str:
        """Adds a chunk and returns the text that it contributes."""
        try:
            chunk = _Chunk.model_validate_json(data)
        except ValidationError:
            raise self._bad(f"a chunk is not the expected JSON: {self._clean(data)[:120]}") from None
        if chunk.error is not None:
            text = error_text(chunk.error) or "an error without a message"
            raise error_for_status(error_status(chunk.error), text, where=self._where, clean=self._clean)
        if chunk.usage is not None:
            self._usage = chunk.usage
        text = ""
        for choice in chunk.choices or ():
            if choice.index == 0:
                text += self._choice(choice)
        self._texts.append(text)
        return text

    def _choice(self, choice: _Choice) -> str:
        if choice.finish_reason:
            self._reason = choice.finish_reason
        self.logprobs += token_logprobs(choice.logprobs)
        if choice.delta is None:
            return ""
        for piece in choice.delta.tool_calls or ():
            self._call_piece(piece)
        return choice.delta.content or choice.delta.refusal or ""

    def _call_piece(self, piece: _CallPiece) -> None:
        slot = self._slot_of(piece)
        function = piece.function or _Function()
        slot.id = slot.id or piece.id or ""
        # Most servers send the name once, some in every piece, and the protocol allows it in parts.
        if function.name and function.name != slot.name:
            slot.name += function.name
        if len(slot.name) > MOST_NAME:
            raise self._bad("a tool call has an endless name")
        if function.arguments:
            slot.arguments.append(function.arguments)

    def _slot_of(self, piece: _CallPiece) -> _Slot:
        index = piece.index
        if index is None:
            slot = self._slots[-1] if self._slots else None
        else:
            slot = self._by_index.get(index)
        # Some servers number every call 0: a different id means a different call.
        if slot is None or (piece.id and slot.id and piece.id != slot.id):
            slot = _Slot()
            self._slots.append(slot)
            if index is not None:
                self._by_index[index] = slot
        return slot

    def calls(self) -> tuple[ToolCall, ...]:
        """The complete tool calls, in the order in which they began."""
        made: list[ToolCall] = []
        for number, slot in enumerate(self._slots):
            if not slot.name:
                raise self._bad("a tool call has no name")
            arguments = "".join(slot.arguments) or "{}"
            made.append(ToolCall(id=slot.id or f"call_{number}", name=slot.name, arguments=arguments))
        return tuple(made)

    def finish(self, media_type: str) -> Finish:
        """The finish reason. ``media_type`` explains a response that was no stream."""
        if self._reason is None:
            raise self._bad(f"the stream ({media_type or 'of no stated type'}) ended without a finish reason")
        finish = _FINISHES.get(self._reason)
        if finish is None:
            raise self._bad(f"the server ended it with {self._clean(self._reason)!r}")
        if finish == "calls" and not self._slots:
            raise self._bad("it announces tool calls and has none")
        # Several servers send "stop" with a tool call.
        return "calls" if finish == "stop" and self._slots else finish

    def usage(self, prompt_characters: int) -> Usage:
        """The server's count, else an estimate: no prompt has zero tokens, so such a count is none."""
        if self._usage is not None and self._usage.prompt_tokens:
            return Usage(tokens_in=self._usage.prompt_tokens, tokens_out=self._usage.completion_tokens)
        pieces = (piece for slot in self._slots for piece in (slot.name, *slot.arguments))
        written = sum(map(len, self._texts)) + sum(map(len, pieces))
        return Usage(tokens_in=estimate_tokens(prompt_characters), tokens_out=estimate_tokens(written), estimated=True)

    def _bad(self, why: str) -> ProviderBadOutput:
        return ProviderBadOutput(
            f"{self._where}: the answer is unusable: {why}.",
            provider=PROVIDER,
            remedy="Check that the server speaks OpenAI's chat completions with streaming.",
        )
