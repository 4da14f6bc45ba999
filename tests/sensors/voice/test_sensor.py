"""Spoken goals on a real repository, a real router and a real ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import ControlError
from ledger.vocabulary import OwnerConfirms, Source, TestsPass, Urgency
from sensors.requests.replies import Answered, Utterance
from sensors.voice import VoiceCommandSettings
from sensors.voice.grammar import Goal, Order
from sensors.voice.sensor import VoiceCommand
from tests.sensors.looking import Scene, scene

FILES = {
    "shop/cart.py": "def total(): return 0\n",
    "tests/test_cart.py": "def test_total(): pass\n",
    "tests/test_a.py": "def test_twice(): pass\n",
    "tests/test_b.py": "def test_twice(): pass\n",
}


def voice(s: Scene, *, words: bool = True, **settings: float) -> VoiceCommand:
    ports = s.ports(lambda: "" if words else "it takes no words")
    return VoiceCommand(ports=ports, settings=VoiceCommandSettings.model_validate(settings))


def heard(text: str, sure: int | None = 9_000) -> Utterance:
    return Utterance(text=text, confidence_bp=sure)


async def taken(sensor: VoiceCommand, utterance: Utterance) -> Answered:
    meant = sensor.judge(utterance)
    assert isinstance(meant, Goal), meant
    return await sensor.take(meant, utterance)


async def test_a_goal_that_names_a_test_is_done_when_it_passes(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        answered = await taken(voice(s), heard("Ouro, please fix test total in shop/cart.py"))
        (signal,) = s.sent
        assert answered.outcome == "queued" and answered.signal == signal.id
        assert "until tests/test_cart.py::test_total passes" in answered.message
    assert signal.closure == TestsPass(ids=("tests/test_cart.py::test_total",))
    assert (signal.source, signal.urgency, signal.confidence_bp) == (Source("voice_human"), Urgency.CRITICAL, 9_000)
    assert (signal.goal, signal.targets) == ("fix test total in shop/cart.py", ("shop/cart.py",))


async def test_any_other_goal_is_the_owners_to_confirm_and_bears_no_secret(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        await taken(voice(s), heard("make the password hunter2 longer"))
        (signal,) = s.sent
        stored = await s.ledger.entries()
    assert signal.closure == OwnerConfirms(question="Is this done: make the password [secret] longer")
    assert "hunter2" not in signal.model_dump_json() and "hunter2" not in "".join(map(repr, stored))


async def test_a_name_that_several_tests_have_is_asked_back(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        answered = await taken(voice(s), heard("fix test twice"))
        assert answered.outcome == "asked_back" and "tests/test_b.py::test_twice" in answered.message
        assert s.sent == []


async def test_a_kernel_without_words_takes_only_a_test(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = voice(s, words=False)
        refused = await taken(sensor, heard("make it all faster"))
        assert (refused.outcome, refused.rule) == ("refused", "voice.no_words") and s.sent == []
        await taken(sensor, heard("fix test total"))
        assert len(s.sent) == 1


@pytest.mark.parametrize(("sure", "acted"), [(6_999, False), (7_000, True), (0, False), (None, False), (10_000, True)])
async def test_what_was_not_heard_well_is_asked_back(tmp_path: Path, sure: int | None, acted: bool) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = voice(s)
        meant = sensor.judge(heard("cancel op 7f3a", sure))
        if acted:
            assert meant == Order(name="cancel", target="7f3a")
        else:
            assert isinstance(meant, Answered) and meant.outcome == "asked_back"
            assert "ouro cancel 7f3a" in meant.message
            assert sensor.judge(heard("cancel op 7f3a", 8_000)) == Order(name="cancel", target="7f3a")
        assert sensor.judge(heard("status", sure)) == Order(name="status")  # changes nothing


async def test_the_owner_may_trust_a_speech_program_that_states_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        assert voice(s, unstated_bp=7_000).judge(heard("pause", None)) == Order(name="pause")


async def test_the_same_words_twice_in_a_row_are_one_command(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = voice(s, repeat_s=5)
        assert sensor.judge(heard("pause")) == Order(name="pause")
        s.clock.advance(4.9)
        again = sensor.judge(heard("Ouro, pause, please."))
        assert isinstance(again, Answered) and again.outcome == "repeated"
        assert sensor.judge(heard("resume")) == Order(name="resume")
        assert sensor.judge(heard("pause")) == Order(name="pause")
        s.clock.advance(5.1)
        assert sensor.judge(heard("pause")) == Order(name="pause")
        assert sensor.state().line == "1 heard: 1 repeated."


async def test_nothing_that_is_said_approves(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = voice(s)
        for said in ("approve 7f3a21", "yes", "reject it", "go ahead"):
            refused = sensor.judge(heard(said, 10_000))
            assert isinstance(refused, Answered) and (refused.outcome, refused.rule) == ("refused", "voice.approval")
            assert "type ouro " in refused.message
        assert s.sent == []


async def test_a_goal_too_long_is_refused(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = voice(s)
        with pytest.raises(ControlError):
            await sensor.take(Goal(text="fix " + "x" * 3_000), heard("x"))
