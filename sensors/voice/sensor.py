"""Spoken commands and goals, as text from any speech program over the control socket.

What changes something needs enough confidence, approvals are refused, and an immediate repetition counts once. Ignored
utterances are not kept.
"""

from __future__ import annotations

from collections import Counter

from ledger.errors import RepositoryError
from ledger.vocabulary import Evidence, Signal
from sensors.bus import Bus
from sensors.ports import SensorPorts
from sensors.requests.manual import manual_signal
from sensors.requests.named_check import named_check
from sensors.requests.replies import Answered, Goal, Order, Utterance
from sensors.requests.sentences import words_of
from sensors.roles import SpeechSensor
from sensors.sensor import SensorState
from sensors.voice import SPEC, VoiceCommandSettings
from sensors.voice.grammar import Forbidden, Meaning, Unclear, parse

NO_WORDS = "The kernel takes no goal in words; name a test that fails."


class VoiceCommand(SpeechSensor[VoiceCommandSettings]):
    """Judges utterances and emits goals. The caller carries out orders."""

    spec = SPEC

    def __init__(self, *, ports: SensorPorts, settings: VoiceCommandSettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._last: tuple[tuple[str, ...], float] | None = None
        self._counts: Counter[str] = Counter()

    async def start(self, bus: Bus) -> None:
        """Nothing to watch: the control socket delivers utterances."""

    async def _scan(self) -> tuple[Signal, ...]:
        return ()

    def state(self) -> SensorState:
        told = ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in sorted(self._counts.items()))
        line = f"{self._counts.total()} heard: {told}." if told else ""
        return SensorState(source=self.source, line=line)

    # --- an utterance ---

    def judge(self, heard: Utterance) -> Order | Goal | Answered:
        meaning = parse(heard.text)
        answered = self._turned_away(heard, meaning)
        if answered is not None:
            return self.count(answered)
        self._last = (words_of(heard.text), self._clock.monotonic())
        if isinstance(meaning, Order | Goal):
            return meaning
        raise AssertionError("what is neither is turned away")

    def _turned_away(self, heard: Utterance, meaning: Meaning) -> Answered | None:
        if isinstance(meaning, Unclear):
            return Answered(outcome="unclear", message=meaning.why)
        if isinstance(meaning, Forbidden):
            return Answered(outcome="refused", rule=meaning.rule, message=_refusal(meaning))
        if self._is_repeat(heard):
            return Answered(outcome="repeated", message="I heard that already.")
        sure = self._sure(heard)
        if sure >= self._settings.least_bp or (isinstance(meaning, Order) and not meaning.changes):
            return None
        stated = f"only {sure // 100} % sure" if heard.confidence_bp is not None else "not told how sure"
        return Answered(
            outcome="asked_back",
            message=f"Did you say: {self._ports.redact(heard.text)[:200]}? The speech program was {stated}: "
            f"say it again, or type {_typed(meaning)}.",
            rule="voice.confidence",
        )

    def _sure(self, heard: Utterance) -> int:
        return self._settings.unstated_bp if heard.confidence_bp is None else heard.confidence_bp

    def _is_repeat(self, heard: Utterance) -> bool:
        if self._last is None:
            return False
        words, at = self._last
        return words == words_of(heard.text) and self._clock.monotonic() - at < self._settings.repeat_s

    def count(self, answered: Answered) -> Answered:
        self._counts[answered.outcome] += 1
        return answered

    async def take(self, goal: Goal, heard: Utterance) -> Answered:
        head = (await self._repository.head()).commit
        if head is None:
            raise RepositoryError("There is no commit yet.")
        named = await named_check(goal.text, head, self._repository)
        if named.several:
            return Answered(
                outcome="asked_back", message=f"There are {len(named.several)} such tests: {', '.join(named.several)}."
            )
        if not named.tests and self._ports.unavailable():
            return Answered(outcome="refused", rule="voice.no_words", message=NO_WORDS)
        said = Evidence(
            claim="The owner said it",
            evidence=self._ports.redact(heard.text),
            confidence_bp=self._sure(heard),
            source="voice",
        )
        signal = manual_signal(
            self._ports.redact(goal.text),
            source=self.source,
            files=named.targets,
            closed_when=named.tests,
            base=head,
            clock=self._clock,
            urgency=self.spec.facts.urgency,
            confidence_bp=self._sure(heard),
            evidence=(said,),
        )
        receipt = await self._ports.emit_for_owner(signal)
        done = f"until {', '.join(named.tests)} passes" if named.tests else "and you will be asked to approve it"
        message = f"Queued: {signal.goal} {done}." if receipt.status == "queued" else receipt.reason
        return Answered(outcome="queued", message=message, signal=receipt.of or signal.id)


def _refusal(meaning: Forbidden) -> str:
    if meaning.rule == "voice.approval":
        return f"Approvals and rejections are not taken from a voice ({meaning.rule}): type {meaning.typed}."
    return f"That is not taken from a voice ({meaning.rule}): type {meaning.typed}."


def _typed(meaning: Order | Goal | Forbidden | Unclear) -> str:
    if isinstance(meaning, Order):
        return f"ouro {meaning.name} {meaning.target}".strip()
    return "ouro submit with the goal"
