"""The provider protocol: what the rest of the system knows about any model.

A provider answers a single turn; the tool loop composes turns. A provider that can fill a hole in code also is an
``Infiller``. Nothing outside ``kernel/`` knows which provider it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field

from ledger.vocabulary import Frozen


class ToolCall(Frozen):
    """A model asks for a tool. ``arguments`` is the raw JSON text: checking it is the caller's business."""

    id: str
    name: str
    arguments: str


class Message(Frozen):
    """One turn of a conversation. ``calls`` only on assistant turns, ``call_id`` only on tool turns."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


class ToolSchema(Frozen):
    """What a model is told about a tool. ``parameters`` is a JSON schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Limits(Frozen):
    """Bounds of one call. ``timeout_s`` is the total deadline; connect, first-byte and idle are the provider's own."""

    max_tokens: int = Field(1024, ge=1)
    timeout_s: float = 120.0
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    prose: bool = False  # repetition is discouraged; never for code
    caution_milli: int = Field(0, ge=0, le=1_000)  # how close an attempt before came to a collapse: see ``knobs``


class Usage(Frozen):
    """Tokens of one call as the provider counted them (``estimated`` when it did not say)."""

    tokens_in: int = 0
    tokens_out: int = 0
    estimated: bool = False


class Report(Frozen):
    """How one generation went, in thousandths where it is a fraction.

    ``depth_milli``: mean steps of the loop per token (1000 for a model that does not loop). ``contraction_milli``: how
    much a step changed the state by how much the one before did, where there were three steps. ``exit``: what most
    tokens ended with (``depth``, ``gate``, ``converged``, ``settled``; for a model that is asked again and again
    ``threshold_met``, ``converged``, ``max_loops``, ``single_pass``, and ``cut_short`` when a later pass failed or had
    no time). ``proximity_milli``: how close to a collapse it came at its worst (1000 is collapsed), with the ``signal``
    behind it; ``alarm``: it stayed there, and is no answer any more.
    """

    depth_milli: int = 1000
    contraction_milli: int | None = None
    exit: str = "depth"
    proximity_milli: int = 0
    signal: str = "none"
    alarm: bool = False


class TextDelta(Frozen):
    kind: Literal["text"] = "text"
    text: str


class CallDelta(Frozen):
    """A complete tool call (providers assemble the pieces)."""

    kind: Literal["call"] = "call"
    call: ToolCall


class Spent(Frozen):
    """What the turn has taken so far, where that is more than the text shows: counted if no ``Done`` follows."""

    kind: Literal["spent"] = "spent"
    usage: Usage


class Done(Frozen):
    """Always the last event of a turn that did not raise. ``finish``: stop, length, calls."""

    kind: Literal["done"] = "done"
    finish: Literal["stop", "length", "calls"]
    usage: Usage
    report: Report | None = None


Event = TextDelta | CallDelta | Spent | Done


class Capabilities(Frozen):
    tools: bool = False
    infill: bool = False
    images: bool = False
    documents: bool = False
    logprobs: bool = False
    local: bool = False

    @property
    def plans(self) -> bool:
        """It is asked to choose files and to plan; a local kernel, or one that fills holes, is served by script."""
        return self.tools or not (self.infill or self.local)


class Price(Frozen):
    """Micro-dollars per million tokens. Zero is a known price; an unknown one is ``None`` on the provider."""

    input: int
    output: int


class Health(Frozen):
    ready: bool
    detail: str  # one sentence; what is missing and what to do when not ready


class InfillSpan(Frozen):
    """One hole: the model writes what stands between ``prefix`` and ``suffix``."""

    prefix: str
    suffix: str
    max_tokens: int = Field(48, ge=1)
    stop: tuple[str, ...] = ("\n",)  # the returned text ends before the first of these


class InfillRequest(Frozen):
    """Holes that are filled as one batch, ``samples`` answers each."""

    spans: tuple[InfillSpan, ...]
    samples: int = Field(1, ge=1)
    temperature: float = 0.0  # 0: greedy (then ``samples`` must be 1)
    top_p: float = 0.95
    seed: int = 0
    timeout_s: float = 120.0
    caution_milli: int = Field(0, ge=0, le=1_000)  # as in ``Limits``


class Infill(Frozen):
    """One answer. ``logprob_milli`` is the mean log-probability per token times 1000 (0 when unknown).

    ``collapsed``: the canary has ended it; what there is of its text is of no use.
    """

    span: int  # index into the request's spans
    text: str
    logprob_milli: int = 0
    finish: Literal["stop", "length", "collapsed"] = "stop"
    report: Report | None = None


class InfillAnswer(Frozen):
    infills: tuple[Infill, ...]
    usage: Usage


class DivergeRequest(Frozen):
    """Holes in which something stands (``texts``, one for each span): what else could, ``answers`` for each?"""

    spans: tuple[InfillSpan, ...]
    texts: tuple[str, ...]
    answers: int = Field(4, ge=2)
    timeout_s: float = 120.0
    caution_milli: int = Field(0, ge=0, le=1_000)  # as in ``Limits``


class WeighRequest(Frozen):
    """How likely is each of ``texts`` (one for each span) in its hole?"""

    spans: tuple[InfillSpan, ...]
    texts: tuple[str, ...]
    timeout_s: float = 120.0


class WeighAnswer(Frozen):
    """``logprobs_milli``: of each text as a whole, its end included, in thousandths of a nat; at most 0."""

    logprobs_milli: tuple[int, ...]
    usage: Usage


class Provider(Protocol):
    """One model behind one way of reaching it.

    ``respond`` and ``infill`` raise ``ProviderUnavailable`` (with ``kind``) or ``ProviderBadOutput``; of these
    ``CollapseDetected`` when an answer, or every answer to several holes, was broken off by the canary. Cancelling the
    task that awaits them stops the model within one step.
    """

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str:
        """Model name and a short fingerprint, e.g. ``qwen2.5-coder-1.5b@cc324af0``: stands in the commit trailer."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def price(self) -> Price | None:
        """None means unknown, and an unknown price is denied."""
        ...

    async def health(self) -> Health:
        """Cheap; loads nothing."""
        ...

    def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]: ...

    async def aclose(self) -> None:
        """Free memory, connections, threads. Safe to call twice."""
        ...


@runtime_checkable
class Heavy(Protocol):
    """A provider that computes in this process."""

    @property
    def loaded(self) -> bool:
        """True while its model is in memory."""
        ...

    @property
    def left_behind(self) -> bool:
        """A model was dropped, and what it leaves in memory is given back by a fresh process only."""
        ...


@runtime_checkable
class Infiller(Protocol):
    """What a provider with ``capabilities.infill`` can also do."""

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` for this model (may be an estimate before the model is loaded)."""
        ...

    async def infill(self, request: InfillRequest) -> InfillAnswer: ...


@runtime_checkable
class Preparer(Protocol):
    """What a provider can also do whose model takes a while to load."""

    async def prepare(self) -> None:
        """Load the model now. Raises what an answer would raise."""
        ...


@runtime_checkable
class Diverger(Protocol):
    """What a provider can also do whose model is at hand: fill a hole otherwise than it is filled."""

    async def diverge(self, request: DivergeRequest) -> InfillAnswer: ...


@runtime_checkable
class Weigher(Protocol):
    """What a provider can also do whose model is at hand: say what it thinks of a text that it did not write."""

    async def weigh(self, request: WeighRequest) -> WeighAnswer: ...


@runtime_checkable
class Repeater(Protocol):
    """What a provider can also say that may ask its model several times in one turn."""

    def at_most(self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits) -> Usage:
        """Tokens that a turn may take with all its passes (an estimate of those that are read)."""
        ...
