"""Parses a streamed chat completion: server-sent events into chunks, chunks into text, tool calls and usage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kernel.provider import ToolCall, Usage
from kernel.providers.openai.wire import PROVIDER, error_for_status, error_status, error_text, token_logprobs
from kernel.tokens import estimate_tokens
from ledger.errors import ProviderBadOutput

MAX_NAME: Final = 1_000
"""Maximum characters in the name of a tool call."""
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
    """Parser of server-sent events in a body that arrives in arbitrary pieces. Only ``data`` fields are kept.

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
        """End the body; an event without its final blank line is still returned."""
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
    # No real call has more, and sums of larger counts would overflow in the ledger.
    prompt_tokens: int = Field(ge=0, lt=2**31)
    completion_tokens: int = Field(ge=0, lt=2**31)


class _Chunk(_Wire):
    choices: tuple[_Choice, ...] | None = None
    usage: _Usage | None = None
    error: object = None


@dataclass(kw_only=True)
class _PartialCall:
    """A tool call while it arrives. ``arguments`` are joined once at the end: there can be a million pieces."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class StreamAssembler:
    """Assembles an answer from chunks (the data of events). It is ``complete`` after a finish reason."""

    def __init__(self, *, where: str, clean: Callable[[str], str]) -> None:
        self._where = where
        self._clean = clean
        self._partial_calls: list[_PartialCall] = []
        self._by_index: dict[int, _PartialCall] = {}
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

    def add(self, data: str) -> str:
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
                text += self._add_choice(choice)
        self._texts.append(text)
        return text

    def _add_choice(self, choice: _Choice) -> str:
        if choice.finish_reason:
            self._reason = choice.finish_reason
        self.logprobs += token_logprobs(choice.logprobs)
        if choice.delta is None:
            return ""
        for piece in choice.delta.tool_calls or ():
            self._add_call_piece(piece)
        return choice.delta.content or choice.delta.refusal or ""

    def _add_call_piece(self, piece: _CallPiece) -> None:
        call = self._call_for(piece)
        function = piece.function or _Function()
        call.id = call.id or piece.id or ""
        # Most servers send the name once, some in every piece, and the protocol allows it in parts.
        if function.name and function.name != call.name:
            call.name += function.name
        if len(call.name) > MAX_NAME:
            raise self._bad("a tool call has an endless name")
        if function.arguments:
            call.arguments.append(function.arguments)

    def _call_for(self, piece: _CallPiece) -> _PartialCall:
        index = piece.index
        if index is None:
            call = self._partial_calls[-1] if self._partial_calls else None
        else:
            call = self._by_index.get(index)
        # Some servers send index 0 for every call; another id then means another call.
        if call is None or (piece.id and call.id and piece.id != call.id):
            call = _PartialCall()
            self._partial_calls.append(call)
            if index is not None:
                self._by_index[index] = call
        return call

    def calls(self) -> tuple[ToolCall, ...]:
        """The complete tool calls, in the order in which they began."""
        made: list[ToolCall] = []
        for number, call in enumerate(self._partial_calls):
            if not call.name:
                raise self._bad("a tool call has no name")
            arguments = "".join(call.arguments) or "{}"
            made.append(ToolCall(id=call.id or f"call_{number}", name=call.name, arguments=arguments))
        return tuple(made)

    def finish(self, media_type: str) -> Finish:
        """The finish reason. ``media_type`` is named in the error for a response that was no stream."""
        if self._reason is None:
            raise self._bad(f"the stream ({media_type or 'of no stated type'}) ended without a finish reason")
        finish = _FINISHES.get(self._reason)
        if finish is None:
            raise self._bad(f"the server sent the finish reason {self._clean(self._reason)!r}")
        if finish == "calls" and not self._partial_calls:
            raise self._bad("its finish reason is tool calls, but it has none")
        # Several servers send "stop" with a tool call.
        return "calls" if finish == "stop" and self._partial_calls else finish

    def usage(self, prompt_characters: int) -> Usage:
        """The server's count, or an estimate if there is none (zero prompt tokens count as none)."""
        if self._usage is not None and self._usage.prompt_tokens:
            return Usage(tokens_in=self._usage.prompt_tokens, tokens_out=self._usage.completion_tokens)
        pieces = (piece for call in self._partial_calls for piece in (call.name, *call.arguments))
        written = sum(map(len, self._texts)) + sum(map(len, pieces))
        return Usage(tokens_in=estimate_tokens(prompt_characters), tokens_out=estimate_tokens(written), estimated=True)

    def _bad(self, why: str) -> ProviderBadOutput:
        return ProviderBadOutput(
            f"{self._where}: the answer is unusable: {why}.",
            provider=PROVIDER,
            remedy="Check that the server speaks OpenAI's chat completions with streaming.",
        )
