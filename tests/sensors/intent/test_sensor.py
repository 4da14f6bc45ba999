"""Free text of the owner on a real repository, a real router and a real ledger."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.errors import ControlError
from ledger.events.sensing import WishAsked, WishRefused
from ledger.vocabulary import OwnerConfirms, Source, TestsPass, Urgency
from sensors.intent import IntentDiscoverySettings
from sensors.intent.sensor import NOTED, IntentDiscovery
from tests.repos import commit
from tests.sensors.looking import Scene, scene

FILES = {"shop/cart.py": "def total(): return 0\n", "tests/test_cart.py": "def test_total(): pass\n"}
WISH = "I wish total refused negative prices"


class Names:
    """What exists, by hand."""

    async def known(self, names: Collection[str]) -> frozenset[str]:
        return frozenset(names) & {"total", "shop/cart.py"}


def intent(s: Scene, unavailable: str = "", **settings: float) -> IntentDiscovery:
    ports = s.ports(lambda: unavailable, names=Names())
    return IntentDiscovery(ports=ports, settings=IntentDiscoverySettings.model_validate(settings))


async def test_a_wish_is_a_question_and_only_a_yes_makes_work_of_it(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s)
        assert (await sensor.hear("The cart is odd today.")).message == NOTED
        asked = await sensor.hear(WISH)
        assert f'"{WISH}"' in asked.message and asked.wish in asked.message
        assert s.sent == [] and asked.wish in sensor.state().line
        later = intent(s)  # the daemon was restarted
        await later.scan_once()
        assert asked.wish in later.state().line and s.sent == []
        done = await later.answer(asked.wish, "yes")
        (signal,) = s.sent
        assert done is not None and done.signal == signal.id
        assert later.state().line == "" and await later.answer(asked.wish, "yes") is None
    assert (signal.source, signal.urgency, signal.goal) == (Source("intent_discovery"), Urgency.LOW, WISH)
    assert signal.closure == OwnerConfirms(question=f"Is this done: {WISH}")
    assert [e.evidence for e in signal.evidence] == [WISH, "The cart is odd today."]


async def test_a_no_is_remembered_with_its_reason_and_in_other_words_of_courtesy(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s)
        await sensor.hear(WISH)
        refused = await sensor.hear("no, negative prices are refunds")
        assert "not ask about that again" in refused.message
        commit(s.repo, "Something else", {"more.py": "A = 1\n"})
        again = await intent(s).hear(f"Please: {WISH.upper()}!")
        assert again.wish == "" and "negative prices are refunds" in again.message
        assert s.sent == [] and s.router.known() == ()
        (entry,) = await s.ledger.entries(events=(WishRefused,))
        assert entry.payload["reason"] == "negative prices are refunds"


async def test_a_bare_yes_is_meant_for_the_question_just_asked_and_for_no_other(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s)
        assert (await sensor.hear("yes")).message == NOTED
        await sensor.hear(WISH)
        await sensor.hear("what does it do?")
        assert (await sensor.hear("yes")).message == NOTED and s.sent == []
        asked = await sensor.hear(WISH)  # the same question, not another one
        assert len(await s.ledger.entries(events=(WishAsked,))) == 1
        assert (await sensor.hear("Yes, please.")).signal == s.sent[0].id and asked.wish


async def test_silence_is_no_yes(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s, open_days=7)
        asked = await sensor.hear(WISH)
        s.clock.advance(timedelta(days=7, seconds=1).total_seconds())
        assert await sensor.answer(asked.wish, "yes") is None and s.sent == []
        again = await sensor.hear(WISH)
        assert again.wish not in ("", asked.wish)


async def test_few_questions_wait_at_a_time(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s, most_open=1)
        assert (await sensor.hear(WISH)).wish
        assert "Other questions" in (await sensor.hear("add a docstring to total")).message
        assert not (await intent(s, least_bp=9_000).hear("add a docstring to total")).wish


async def test_words_that_are_neither_yes_nor_no_decide_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s)
        asked = await sensor.hear(WISH)
        with pytest.raises(ControlError, match="takes a yes, or a no"):
            await sensor.answer(asked.wish, "maybe")
        assert await sensor.answer("w-000000", "yes") is None and s.sent == []


async def test_a_wish_that_names_a_test_is_done_when_it_passes(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s)
        await sensor.hear("fix test total in shop/cart.py")
        await sensor.hear("yes")
        assert s.sent[0].closure == TestsPass(ids=("tests/test_cart.py::test_total",))
        assert s.sent[0].targets == ("shop/cart.py",)


async def test_the_conversation_is_bounded_and_holds_no_secret(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s, turns=3, turn_chars=40)
        await sensor.hear("make the password hunter2 of total longer, since hunter2 is too short")
        for number in range(3):
            await sensor.hear(f"word {number} " + "x" * 100)
        said = await sensor.conversation()
        assert [each.text[:7] for each in said if each.who == "owner"] == ["word 0 ", "word 1 ", "word 2 "]
        assert len(said) == 6 and max(len(each.text) for each in said) == 40
        rows = await s.ledger.query("SELECT count(*), group_concat(said) FROM conversation")
        assert rows[0][0] == 6
        everything = [*await s.ledger.entries(), *await s.ledger.query("SELECT * FROM wishes"), *rows, *said]
        assert "hunter2" not in "".join(map(repr, everything)) and "[secret]" in repr(everything)


async def test_a_kernel_without_words_is_asked_for_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = intent(s, unavailable="it only fills holes")
        assert sensor.state().line == ""
        reply = await sensor.hear(WISH)
        assert "it only fills holes" in reply.message and not reply.wish
        assert sensor.state().line == "unavailable: it only fills holes"
