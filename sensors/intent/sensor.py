"""Free text in the REPL: kept as conversation; what sounds like a wish becomes a question to the owner.

The rules may be wrong about what somebody meant, so nothing follows from a wish but a question. Only the owner's yes
makes a signal of it; his no is remembered with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import ControlError, RepositoryError
from ledger.vocabulary import Evidence, Signal
from sensors.bus import Bus
from sensors.intent import SPEC, IntentDiscoverySettings
from sensors.intent.wish_book import SCHEMA, ConversationLog, WishBook, WishQuestion
from sensors.intent.wishes import answer_in, infer_wish, names_in
from sensors.ports import SensorPorts
from sensors.requests.manual import manual_signal
from sensors.requests.named_check import named_check
from sensors.requests.replies import ConversationTurn, Reply
from sensors.roles import FreeTextSensor

SHOWN = 120
NOTED = "Noted. I heard nothing to work on: /submit GOAL hands in work, /help lists the commands."
CONTEXT_TURNS = 3


class IntentDiscovery(FreeTextSensor[IntentDiscoverySettings]):
    """See the module."""

    spec = SPEC
    tables = (SCHEMA,)
    first_line = ""

    def __init__(self, *, ports: SensorPorts, settings: IntentDiscoverySettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._book = WishBook(ledger=ports.ledger, clock=ports.clock, days=settings.open_days)
        self._conversation = ConversationLog(
            ledger=ports.ledger,
            clock=ports.clock,
            redact=ports.redact,
            turns=settings.turns,
            turn_chars=settings.turn_chars,
        )

    async def start(self, bus: Bus) -> None:
        """Show the open questions. Nothing is watched: the REPL brings the text."""
        await self._show()

    async def _scan(self) -> tuple[Signal, ...]:
        await self._show()
        return ()

    # --- what is said ---

    async def hear(self, text: str) -> Reply:
        async with self._turn:
            clean = self._ports.redact(text)
            reply = await self._answered_just_now(clean) or await self._wished(clean)
            await self._conversation.add(clean, reply.message)
            return reply

    async def answer(self, reference: str, text: str) -> Reply | None:
        async with self._turn:
            asked = await self._book.find(reference)
            if asked is None:
                return None
            said = answer_in(self._ports.redact(text))
            if said is None:
                raise ControlError(f"{asked.id} takes a yes, or a no with its reason.", remedy=_how(asked.id))
            return await self._settle(asked, *said)

    async def conversation(self) -> tuple[ConversationTurn, ...]:
        return await self._conversation.last()

    async def _answered_just_now(self, text: str) -> Reply | None:
        """A bare yes or no right after a question is meant for it."""
        said = answer_in(text)
        last = (await self._conversation.last())[-1:]
        if said is None or not last or last[0].who != "ouroboros":
            return None
        asked = next((each for each in await self._book.open() if each.id in last[0].text), None)
        return None if asked is None else await self._settle(asked, *said)

    async def _wished(self, text: str) -> Reply:
        names = names_in(text)
        wish = infer_wish(text, await self._ports.names.known(names) if names else ())
        if wish is None or wish.confidence_bp < self._settings.least_bp:
            return Reply(message=NOTED)
        why = self._ports.unavailable()
        if why:
            self._say(f"unavailable: {why}")
            return Reply(message=f"Noted. That sounds like a wish, but {why}.")
        before = await self._book.earlier(wish)
        if before is not None and before.status == "no":
            because = f": {before.reason}" if before.reason else ""
            return Reply(message=f"You said no to that on {before.at[:10]}{because}. /submit hands it in all the same.")
        if before is not None and before.status == "open":
            return Reply(message=_question(before), wish=before.id)
        if len(await self._book.open()) >= self._settings.most_open:
            return Reply(message="Noted. Other questions of mine wait for you: /status shows them.")
        asked = await self._book.ask(wish, await self._context())
        await self._show()
        return Reply(message=_question(asked), wish=asked.id)

    async def _context(self) -> tuple[Evidence, ...]:
        """The owner's last turns: words like "it" refer to them."""
        said = [each.text for each in await self._conversation.last() if each.who == "owner"][-CONTEXT_TURNS:]
        text = "\n".join(said)
        if not text:
            return ()
        claim = "What the owner said before that"
        return (Evidence(claim=claim, evidence=text, confidence_bp=5_000, source="conversation"),)

    async def _settle(self, asked: WishQuestion, yes: bool, reason: str) -> Reply:
        """Work first, then the mark: after a crash in between the question is open, and the router knows the key."""
        signal_id = ""
        message = f"Then not. I shall not ask about that again ({asked.id})."
        if yes:
            signal, message = await self._work(asked)
            signal_id = signal.id
        await self._book.settle(asked, yes=yes, reason=reason, signal=signal_id)
        await self._show()
        return Reply(message=message, signal=signal_id)

    async def _work(self, asked: WishQuestion) -> tuple[Signal, str]:
        head = (await self._repository.head()).commit
        if head is None:
            raise RepositoryError("There is no commit yet.")
        wish = asked.wish
        named = await named_check(wish.text, head, self._repository)
        said = Evidence(
            claim="The owner said so in the REPL, and that he wants it done",
            evidence=wish.text,
            confidence_bp=10_000,
            source="conversation",
        )
        signal = manual_signal(
            wish.text,
            source=self.source,
            files=named.targets,
            closed_when=named.tests,
            base=head,
            clock=self._clock,
            urgency=self.spec.facts.urgency,
            confidence_bp=wish.confidence_bp,
            evidence=(said, *asked.before),
        )
        receipt = await self._ports.emit_for_owner(signal)
        done = receipt.reason or f"{receipt.status} as {signal.id}; what is proposed waits for your approval"
        return signal, f"{done[:1].upper()}{done[1:]}."

    async def _show(self) -> None:
        self._say(_line(await self._book.open()))


def _question(asked: WishQuestion) -> str:
    return f'Shall I work on this: "{asked.wish.text}"? yes, or no and why ({asked.id})'


def _how(reference: str) -> str:
    return f'`ouro answer {reference} yes`, or `ouro answer {reference} "no, because ..."`.'


def _line(waiting: Sequence[WishQuestion]) -> str:
    """For status; empty when nothing waits."""
    if not waiting:
        return ""
    told = "; ".join(f'{asked.id} "{asked.wish.text[:SHOWN]}"' for asked in waiting)
    return f"shall I work on this? {told} · {_how(waiting[0].id)}"
