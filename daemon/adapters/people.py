"""The sources that come from what people say, and from what could not be served: made for one boot."""

from __future__ import annotations

from daemon.adapters.committed_names import CommittedNames
from daemon.house import House
from daemon.views.told import ONLY_FILLS, cannot_talk
from governance.irongate.secrets import redact
from ledger.vocabulary import Signal
from sensors.capability_gap import CapabilityGap
from sensors.doors import Emit
from sensors.intake.records import Receipt
from sensors.intent_discovery import IntentDiscovery
from sensors.said import Reply
from sensors.sensor import Sensor
from sensors.voice_command import VoiceCommand

HEARS_NOTHING = "Spoken commands are switched off (sensors.voice_command.enabled)."
SAYS_NOTHING = "Free text is switched off (sensors.intent_discovery.enabled)."


class People:
    """``voice`` and ``intent`` are asked by the control socket; None where the owner has switched them off."""

    def __init__(self, house: House, emit: Emit) -> None:
        self._house = house
        settings = house.config.settings.sensors
        self.voice = self._voice() if settings.voice_command.enabled else None
        self.intent = self._intent() if settings.intent_discovery.enabled else None
        self.gap = self._gap(emit) if settings.capability_gap.enabled else None

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """Those that are switched on."""
        each: tuple[Sensor | None, ...] = (self.voice, self.intent, self.gap)
        return tuple(sensor for sensor in each if sensor is not None)

    async def answer(self, reference: str, text: str) -> Reply | None:
        """The owner's answer to a wish; None when ``reference`` is none. Raises ``ControlError`` for any other word."""
        return await self.intent.answer(reference, text) if self.intent is not None else None

    def _unavailable(self) -> str:
        return ONLY_FILLS if cannot_talk(self._house.provider.capabilities) else ""

    async def _asked_for(self, signal: Signal) -> Receipt:
        """A person wants it now, whatever became of it before."""
        return await self._house.router.submit(signal, asked=True)

    def _voice(self) -> VoiceCommand:
        house = self._house
        return VoiceCommand(
            repository=house.repository, emit=self._asked_for, takes_words=lambda: not self._unavailable(),
            clock=house.clock, redact=redact, settings=house.config.settings.sensors.voice_command,
        )  # fmt: skip

    def _intent(self) -> IntentDiscovery:
        house = self._house
        return IntentDiscovery(
            repository=house.repository,
            names=CommittedNames(repository=house.repository, index=house.code, git=house.git),
            emit=self._asked_for, unavailable=self._unavailable, ledger=house.ledger, clock=house.clock, redact=redact,
            settings=house.config.settings.sensors.intent_discovery,
        )  # fmt: skip

    def _gap(self, emit: Emit) -> CapabilityGap:
        house = self._house
        return CapabilityGap(
            repository=house.repository, emit=emit, withdraw=house.router.drop, unavailable=self._unavailable,
            ledger=house.ledger, clock=house.clock, redact=redact,
            settings=house.config.settings.sensors.capability_gap,
        )  # fmt: skip
