"""Sensor for spoken commands and goals, which a speech program sends as text over the control socket.

Commands that change something need enough confidence. Approvals are refused. An immediate repetition counts once.
Ignored utterances are not stored.
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
        counts = ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in sorted(self._counts.items()))
        line = f"{self._counts.total()} heard: {counts}." if counts else ""
        return SensorState(source=self.source, line=line)

    # --- an utterance ---

    def judge(self, utterance: Utterance) -> Order | Goal | Answered:
        command = parse(utterance.text)
        reply = self._reply_without_work(utterance, command)
        if reply is not None:
            return self.count(reply)
        self._last = (words_of(utterance.text), self._clock.monotonic())
        if isinstance(command, Order | Goal):
            return command
        raise AssertionError("what is neither is turned away")

    def _reply_without_work(self, utterance: Utterance, command: Meaning) -> Answered | None:
        if isinstance(command, Unclear):
            return Answered(outcome="unclear", message=command.why)
        if isinstance(command, Forbidden):
            return Answered(outcome="refused", rule=command.rule, message=_refusal(command))
        if self._is_repeat(utterance):
            return Answered(outcome="repeated", message="I heard that already.")
        confidence = self._confidence(utterance)
        if confidence >= self._settings.least_bp or (isinstance(command, Order) and not command.changes):
            return None
        stated = f"only {confidence // 100} % sure" if utterance.confidence_bp is not None else "not told how sure"
        return Answered(
            outcome="asked_back",
            message=f"Did you say: {self._ports.redact(utterance.text)[:200]}? The speech program was {stated}: "
            f"say it again, or type {_typed(command)}.",
            rule="voice.confidence",
        )

    def _confidence(self, utterance: Utterance) -> int:
        return self._settings.unstated_bp if utterance.confidence_bp is None else utterance.confidence_bp

    def _is_repeat(self, utterance: Utterance) -> bool:
        if self._last is None:
            return False
        words, at = self._last
        return words == words_of(utterance.text) and self._clock.monotonic() - at < self._settings.repeat_s

    def count(self, reply: Answered) -> Answered:
        self._counts[reply.outcome] += 1
        return reply

    async def take(self, goal: Goal, utterance: Utterance) -> Answered:
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
        evidence = Evidence(
            claim="The owner said it",
            evidence=self._ports.redact(utterance.text),
            confidence_bp=self._confidence(utterance),
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
            confidence_bp=self._confidence(utterance),
            evidence=(evidence,),
        )
        receipt = await self._ports.emit_for_owner(signal)
        done = f"until {', '.join(named.tests)} passes" if named.tests else "and you will be asked to approve it"
        message = f"Queued: {signal.goal} {done}." if receipt.status == "queued" else receipt.reason
        return Answered(outcome="queued", message=message, signal=receipt.of or signal.id)


def _refusal(command: Forbidden) -> str:
    if command.rule == "voice.approval":
        return f"Approvals and rejections are not taken from a voice ({command.rule}): type {command.typed}."
    return f"That is not taken from a voice ({command.rule}): type {command.typed}."


def _typed(command: Order | Goal | Forbidden | Unclear) -> str:
    if isinstance(command, Order):
        return f"ouro {command.name} {command.target}".strip()
    return "ouro submit with the goal"
