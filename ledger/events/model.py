"""Model calls, tool conversations, and the grounding decisions that follow from canary reports."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from ledger.events.event import ComplexityName, Json, LedgerEvent, TierName
from ledger.vocabulary import EntryKind, Phase


class CallStarted(LedgerEvent, kind=EntryKind.CALL, name="call.started"):
    """A request to a model. ``tokens_in`` and ``max_tokens``: upper estimates, by which money is reserved."""

    purpose: str = ""
    provider: str
    model: str = ""
    tokens_in: int
    max_tokens: int
    rule: str = ""
    posture: str = ""
    caution_milli: int = 0
    temperature_milli: int = 0


class CallProblem(StrEnum):
    """Why a call gave no answer, where the provider gave no reason."""

    FAILED = "failed"
    TOTAL = "total"  # the time limit of the turn
    CANCELLED = "cancelled"
    COLLAPSED = "collapsed"  # the canary found a collapse of the output


class CallEnded(LedgerEvent, kind=EntryKind.CALL, name="call.ended"):
    """The end of a call. ``answer``: blob of the text; ``problem``: a :class:`CallProblem`, or the provider's reason.

    The fields after ``problem`` are the provider's report, if any.
    """

    purpose: str = ""
    provider: str = ""
    usd_micro: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    answer: str = ""
    ms: int | None = None
    problem: str = ""
    depth_milli: int | None = None
    exit: str = ""
    proximity_milli: int | None = None
    signal: str = ""
    contraction_milli: int | None = None


class ProximityJudged(LedgerEvent, kind=EntryKind.DECISION, name="grounding.decided"):
    """The grounding policy's decision (``asked``) on an answer of raised proximity, with its inputs."""

    purpose: str = ""
    signal: str = ""
    discarded: bool = False
    risk: TierName | None = None
    complexity: ComplexityName | None = None
    trust_bp: int = 0
    proximity_milli: int = 0
    settings: Json = Field({})
    asked: Json = Field({})


class GroundJudged(LedgerEvent, kind=EntryKind.DECISION, name="grounding.judged", phase=Phase.GATE):
    """Whether independent sources support a candidate. ``stand``: the verdict; ``behind``: blob of the evidence."""

    stand: str = ""
    why: str = ""
    min_sources: int = 0
    facts: Json = Field({})
    behind: str = ""


class Regrounded(LedgerEvent, kind=EntryKind.DECISION, name="regrounded", phase=Phase.GENERATE):
    """Facts were read again after a collapse. ``before``, ``after``: the sources before and after that."""

    why: str = ""
    number: int = 0
    most: int = 0
    proximity_milli: int = 0
    signal: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    tests: str = ""
    remembered: int = 0


class LoopEvent(LedgerEvent):
    """An event of a conversation with tools."""

    purpose: str = ""
    round: int = 0


class LoopEnded(LoopEvent, kind=EntryKind.DECISION, name="loop.ended"):
    """``manner``: the form of the conversation (native calls, text, one shot); ``wrote``: changed files."""

    end: str
    rounds: int = 0
    calls: int = 0
    manner: str = ""
    wrote: tuple[str, ...] = ()
    problem: str = ""


LAST_ROUND = "last round"


class LoopNudged(LoopEvent, kind=EntryKind.DECISION, name="loop.nudged"):
    """The model was urged to finish. ``why``: LAST_ROUND, or the kind of repetition that was detected."""

    why: str


class LoopAnswerUnreadable(LoopEvent, kind=EntryKind.DECISION, name="loop.unreadable"):
    fault: str


class LoopCallsIgnored(LoopEvent, kind=EntryKind.DECISION, name="loop.ignored"):
    calls: int
    tools: tuple[str, ...] = ()


class LoopAnswerSentBack(LoopEvent, kind=EntryKind.DECISION, name="loop.sent_back"):
    why: str


class LoopCompacted(LoopEvent, kind=EntryKind.DECISION, name="loop.compacted"):
    """Old results were removed. ``results``: how many; ``before`` and ``after``: size of the prompt in characters."""

    results: int
    before: int
    after: int
    idle: int = 0
