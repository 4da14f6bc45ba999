"""Roles of sensors: what the daemon asks of a sensor by what it can do, never by its name."""

from __future__ import annotations

from abc import abstractmethod

from ledger.vocabulary import Frozen, Signal, TestRun
from sensors.requests.replies import Answered, ConversationTurn, Goal, Order, Reply, Utterance
from sensors.sensor import S, Sensor


class KnownOutcome(Frozen):
    """The suite at one commit: ``red`` failed twice in a row, ``flaky`` failed once and passed when run again."""

    tree: str
    red: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    collected: int = 0

    @property
    def green(self) -> bool:
        return not self.red


class SuiteSensor(Sensor[S]):
    """Knows the state of the test suite. There is one."""

    @property
    @abstractmethod
    def reads_uncommitted(self) -> bool:
        """Whether it tests saved, uncommitted files as well."""

    @abstractmethod
    async def scan_once(self, *, force: bool = False) -> tuple[Signal, ...]:
        """Look at HEAD now; ``force`` runs the suite even where its outcome is known.

        Raises ``RepositoryError`` where nothing can be looked at.
        """

    @abstractmethod
    async def known(self, commit: str) -> KnownOutcome | None:
        """What was seen of the tests at ``commit``."""

    @abstractmethod
    async def submit_failures(self, run: TestRun, commit: str) -> None:
        """Submit a signal for each cause of what is red in a run at ``commit``."""


class SpeechSensor(Sensor[S]):
    """Takes utterances of a speech program."""

    @abstractmethod
    def judge(self, utterance: Utterance) -> Order | Goal | Answered:
        """The command in an utterance, or the reply that ends it. An immediate repetition is refused."""

    @abstractmethod
    async def take(self, goal: Goal, utterance: Utterance) -> Answered:
        """Submit a signal for a goal; without a test that it names, the owner's yes is its closure check.

        Raises ``ControlError`` for what is no goal, ``RepositoryError`` where there is no commit.
        """

    @abstractmethod
    def count(self, answered: Answered) -> Answered:
        """``answered``, counted for status."""


class FreeTextSensor(Sensor[S]):
    """Takes free text of the REPL."""

    @abstractmethod
    async def hear(self, text: str) -> Reply:
        """Free text of the owner: an answer to the question just asked, a wish, or talk. One at a time."""

    @abstractmethod
    async def answer(self, reference: str, text: str) -> Reply | None:
        """The owner's yes, or no with a reason, to an open question; None when ``reference`` is none.

        Raises ``ControlError`` for words that are neither.
        """

    @abstractmethod
    async def conversation(self) -> tuple[ConversationTurn, ...]:
        """The last turns, oldest first."""
