"""The provider protocol: requests to a model, its answers, and the events of a streamed turn.

A provider answers one turn; the caller's tool loop makes a conversation of turns. What only some providers can do is a
protocol of its own, such as ``Infiller``. Nothing outside ``kernel/`` depends on a particular provider.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field

from ledger.vocabulary import Frozen


class ToolCall(Frozen):
    """A tool call of the model. ``arguments`` is the raw JSON text, which the caller validates."""

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
    """Description of a tool for the model. ``parameters`` is a JSON schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Limits(Frozen):
    """Bounds of one call. ``timeout_s`` is the total deadline; the provider has its own for connect, first byte and
    idle.
    """

    max_tokens: int = Field(1024, ge=1)
    timeout_s: float = 120.0
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    prose: bool = False  # penalise repetition, which code needs
    caution_milli: int = Field(0, ge=0, le=1_000)  # worst proximity of an earlier attempt; see ``adjust_decoding``


class Usage(Frozen):
    """Tokens of one call as counted by the provider, or ``estimated`` when it gives no count."""

    tokens_in: int = 0
    tokens_out: int = 0
    estimated: bool = False


class Report(Frozen):
    """Statistics of one generation; fractions are in thousandths.

    ``depth_milli``: mean loop steps per token (1000 for a model that does not loop). ``contraction_milli``: size of the
    last change of the state relative to the change before, for tokens with three steps or more. ``exit``: the most
    frequent reason why tokens left the loop (``depth``, ``gate``, ``converged``, ``settled``); for the re-prompt loop
    ``threshold_met``, ``converged``, ``max_loops``, ``single_pass``, or ``cut_short`` when a later pass failed or had
    no time. ``proximity_milli``: the worst canary proximity (1000 is collapsed), driven by the feature ``signal``.
    ``alarm``: the answer has collapsed.
    """

    depth_milli: int = 1000
    contraction_milli: int | None = None
    exit: str = "depth"
    proximity_milli: int = 0
    signal: str = "none"
    alarm: bool = False


class TextDelta(Frozen):
    """The next piece of the answer's text."""

    kind: Literal["text"] = "text"
    text: str


class CallDelta(Frozen):
    """A complete tool call; providers assemble the pieces."""

    kind: Literal["call"] = "call"
    call: ToolCall


class Spent(Frozen):
    """Usage of the turn so far, if it is more than its text shows; it counts unless ``Done`` follows."""

    kind: Literal["spent"] = "spent"
    usage: Usage


class Done(Frozen):
    """The last event of every turn that does not raise."""

    kind: Literal["done"] = "done"
    finish: Literal["stop", "length", "calls"]
    usage: Usage
    report: Report | None = None


Event = TextDelta | CallDelta | Spent | Done


class Capabilities(Frozen):
    """What a provider can do. ``local``: the model runs in this process."""

    tools: bool = False
    infill: bool = False
    images: bool = False
    documents: bool = False
    logprobs: bool = False
    local: bool = False

    @property
    def plans(self) -> bool:
        """True when the model can choose files and write a plan. A local or infilling model gets fixed ones."""
        return self.tools or not (self.infill or self.local)

    @property
    def only_fills(self) -> bool:
        """True when the model can do nothing but fill holes: it takes no goal in words."""
        return self.infill and not self.tools

    def limited(self, **allowed: bool) -> Capabilities:
        """These capabilities, without those that ``allowed`` maps to False."""
        return self.model_copy(update={name: False for name, there in allowed.items() if not there})


class Price(Frozen):
    """Micro-dollars per million tokens. Zero is a known price; a provider with an unknown price has ``None``
    instead.
    """

    input: int
    output: int


class Health(Frozen):
    """Whether a provider can answer."""

    ready: bool
    detail: str  # one sentence; when not ready: what is missing and what to do


class InfillSpan(Frozen):
    """One hole, between ``prefix`` and ``suffix``."""

    prefix: str
    suffix: str
    max_tokens: int = Field(48, ge=1)
    stop: tuple[str, ...] = ("\n",)  # the answer is cut at the first of these


class InfillRequest(Frozen):
    """Holes to fill as one batch, ``samples`` answers each."""

    spans: tuple[InfillSpan, ...]
    samples: int = Field(1, ge=1)
    temperature: float = 0.0  # 0: greedy (then ``samples`` must be 1)
    top_p: float = 0.95
    seed: int = 0
    timeout_s: float = 120.0
    caution_milli: int = Field(0, ge=0, le=1_000)  # as in ``Limits``


class Infill(Frozen):
    """One answer. ``logprob_milli`` is the mean log-probability per token in thousandths (0 when unknown).

    ``finish`` ``collapsed``: ended by the canary; the text is useless.
    """

    span: int  # index into the request's spans
    text: str
    logprob_milli: int = 0
    finish: Literal["stop", "length", "collapsed"] = "stop"
    report: Report | None = None


class InfillAnswer(Frozen):
    """All answers to one batch of holes."""

    infills: tuple[Infill, ...]
    usage: Usage


class DivergeRequest(Frozen):
    """Holes with their current ``texts``, one a span: asks for ``answers`` alternatives to each text."""

    spans: tuple[InfillSpan, ...]
    texts: tuple[str, ...]
    answers: int = Field(4, ge=2)
    timeout_s: float = 120.0
    caution_milli: int = Field(0, ge=0, le=1_000)  # as in ``Limits``


class WeighRequest(Frozen):
    """Asks for the log-probability of each of ``texts`` (one a span) in its hole."""

    spans: tuple[InfillSpan, ...]
    texts: tuple[str, ...]
    timeout_s: float = 120.0


class WeighAnswer(Frozen):
    """``logprobs_milli``: log-probability of each whole text and its end, in thousandths of a nat; at most 0."""

    logprobs_milli: tuple[int, ...]
    usage: Usage


class Provider(Protocol):
    """One model and the way to reach it.

    ``respond`` and ``infill`` raise ``ProviderUnavailable`` (with ``kind``) or ``ProviderBadOutput``, of which
    ``CollapseDetected`` means that the canary ended the answer, or every answer of a batch. Cancelling the awaiting
    task stops the model within one step.
    """

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str:
        """Model name and a short fingerprint, e.g. ``qwen2.5-coder-1.5b@cc324af0``, as in the commit trailer."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def price(self) -> Price | None:
        """None when unknown; calls with an unknown price are denied."""
        ...

    async def health(self) -> Health:
        """Cheap; loads nothing."""
        ...

    def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]: ...

    async def aclose(self) -> None:
        """Frees memory, connections and threads. Idempotent."""
        ...


@runtime_checkable
class Heavy(Protocol):
    """Implemented by providers that compute in this process."""

    @property
    def loaded(self) -> bool:
        """True while its model is in memory."""
        ...

    @property
    def left_behind(self) -> bool:
        """True when an unloaded model has left memory that only a restart of the process returns."""
        ...


@runtime_checkable
class Infiller(Protocol):
    """Implemented by providers with ``capabilities.infill``."""

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` for this model; may be an estimate before the model is loaded."""
        ...

    async def infill(self, request: InfillRequest) -> InfillAnswer: ...


@runtime_checkable
class Preparer(Protocol):
    """Implemented by providers whose model takes time to load."""

    async def prepare(self) -> None:
        """Loads the model. Raises as ``respond`` does."""
        ...


@runtime_checkable
class Diverger(Protocol):
    """Implemented by local models: alternatives to the current text of a hole."""

    async def diverge(self, request: DivergeRequest) -> InfillAnswer: ...


@runtime_checkable
class Weigher(Protocol):
    """Implemented by local models: log-probabilities of given texts."""

    async def weigh(self, request: WeighRequest) -> WeighAnswer: ...


@runtime_checkable
class Repeater(Protocol):
    """Implemented by providers that may call their model several times in one turn (re-prompting)."""

    def at_most(self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits) -> Usage:
        """Maximum tokens of a turn with all its passes; the input tokens are an estimate."""
        ...
