"""Speech programs on the command line, what a spoken order becomes, and which names a repository has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.adapters.sensor_ports import CommittedNames
from daemon.cli.speech import read_line
from daemon.control.intake_messages import SignalRef
from daemon.control.messages import OpRef, QueueView, SuiteView, Utterance
from daemon.control.spoken_orders import SpokenOrders, spoken_status, the_op, the_signal
from ledger.errors import ControlError
from sensors.requests.replies import IT
from sensors.voice import VoiceCommandSettings
from sensors.voice.sensor import VoiceCommand
from tests.daemon.scripted_api import ScriptedApi, op_view, signal_view, status_view
from tests.daemon.test_cli import Box, box, daemon, run
from tests.repos import host_env, make_places, make_repo
from tests.sensors.looking import scene
from tools.git import Git
from tools.index.checkout import CheckoutFeed
from tools.index.index import CodeIndex
from tools.index.store import FactStore
from tools.repository import Repository

__all__ = ["box"]


class Ear:
    """SpokenOrders over a scripted daemon; ``noted`` is what the ledger would be told."""

    def __init__(self, voice: VoiceCommand) -> None:
        self.api, self.noted = ScriptedApi(), list[dict[str, str | None]]()
        self._hearing = SpokenOrders(api=self.api, voice=voice, note=self._note)

    async def _note(self, what: str, **facts: str | None) -> None:
        self.noted.append({"what": what, **facts})

    async def hears(self, text: str, sure: int | None = 9_000) -> str:
        answered = await self._hearing.hear(Utterance(text=text, confidence_bp=sure))
        return f"{answered.outcome}: {answered.message}"


async def test_orders_are_noted_first_and_then_carried_out(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": ""}) as s:
        ear = Ear(VoiceCommand(ports=s.ports(redact=str), settings=VoiceCommandSettings()))
        assert await ear.hears("status") == "done: Active: 1 op active, tests unknown."
        assert await ear.hears("what's running") == "done: op-1c7f3a: Make test_total pass.."
        assert (await ear.hears("show it")).startswith("done: op-1c7f3a, generate: Make test_total pass.")
        assert await ear.hears("pause") == "done: paused"
        assert await ear.hears("retry sig 1 c 7 f 3 b") == "done: queued again"
        assert ear.noted[-1] == {"what": "hear", "order": "retry", "target": "1c7f3b", "confidence": "9000"}
        with pytest.raises(ControlError, match="No op matches"):
            await ear.hears("show op beef")
        noted = len(ear.noted)
        assert (await ear.hears("approve it")).startswith("refused: Approvals and rejections are not taken")
        assert ear.noted[noted:] == [{"what": "hear", "outcome": "refused", "rule": "voice.approval"}]
        await ear.hears("my lunch was cold")
        await ear.hears("resume", 100)
        assert len(ear.noted) == noted + 1  # what is not acted on leaves no words behind
        assert "approve" not in [name for name, _ in ear.api.asked] and s.sent == []
        assert ("show", OpRef(op=op_view().id)) in ear.api.asked
        ear.api.signals_now = (signal_view(state="parked"),)
        assert (await ear.hears("retry 1c7f3b")).startswith("refused: sig-1c7f3b is parked")
        assert [r for name, r in ear.api.asked if name == "retry"] == [SignalRef(signal=signal_view().id)]


def test_it_is_one_thing_or_nothing() -> None:
    assert the_op([op_view()]).id == op_view().id
    for ops, told in (([], "Nothing is under way"), ([op_view(), op_view(id="op-2")], "There are 2 ops")):
        with pytest.raises(ControlError, match=told):
            the_op(ops)
    dead, queued = signal_view(state="dead"), signal_view(id="sig-0123456789abcdef", short="sig-abcdef")
    assert the_signal([dead, queued], IT) == dead and the_signal([dead, queued], "abcdef") == queued
    for signals, target in (([queued], IT), ([dead, dead], IT), ([dead, queued], "999")):
        with pytest.raises(ControlError, match="fit"):
            the_signal(signals, target)


def test_a_status_in_one_breath() -> None:
    view = status_view(
        active=(op_view(),), waiting=(op_view(),), queue=QueueView(paused=True),
        suite=SuiteView(status="red", tests=3, red=("a", "b")),
    )  # fmt: skip
    assert spoken_status(view) == "Active, paused: 1 op active, 1 waiting for you, 2 tests red."


@pytest.mark.parametrize(
    ("line", "sure", "heard"),
    [
        ("fix test total", None, Utterance(text="fix test total")),
        ("pause", 0.5, Utterance(text="pause", confidence_bp=5_000)),
        ('{"text": "pause", "confidence": 0.93}', None, Utterance(text="pause", confidence_bp=9_300)),
        ('{"text": "pause"}', 1, Utterance(text="pause", confidence_bp=10_000)),
        ("x" * 9_000, None, Utterance(text="x" * 2_000)),
    ],
)
def test_a_line_of_a_speech_program(line: str, sure: float | None, heard: Utterance) -> None:
    assert read_line(line, sure) == heard


@pytest.mark.parametrize("line", ["{", "{}", '{"text": 3}', '{"text": "a", "confidence": 2}', '{"text": "a"}}'])
def test_a_line_that_is_no_utterance(line: str) -> None:
    with pytest.raises(ControlError, match="no utterance"):
        read_line(line, None)


async def test_on_the_command_line(box: Box) -> None:
    async with daemon(box) as api:
        done = await run(box, "hear", "status please", "--confidence", "0.9", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["message"] == "heard: status please"
        refused = await run(box, "hear", "approve it")
        assert (refused.returncode, refused.stdout) == (4, "Not by voice.\n")
        piped = await run(box, "hear", "--stdin", stdin='pause\n\n{"text": "resume", "confidence": 1}\n{}\napprove\n')
        assert piped.returncode == 0
        assert piped.stdout.splitlines() == [
            "heard: pause", "heard: resume",
            'The line is no utterance. A line is text, or {"text": "...", "confidence": 0.9}.', "Not by voice.",
        ]  # fmt: skip
        sure = [request.confidence_bp for name, request in api.asked if isinstance(request, Utterance)]
    assert sure == [9_000, None, None, 10_000, None]


async def test_names_are_those_that_are_committed(tmp_path: Path) -> None:
    repo = make_repo(
        tmp_path / "repo", {"shop/cart.py": "class Cart:\n    def total(self): return sum([])\n", "notes.md": "x"}
    )
    git = Git(make_places(tmp_path / "ours", repo), host_env())
    repository, index = Repository(git), CodeIndex(store=FactStore(tmp_path / "index.sqlite3"))
    try:
        names = CommittedNames(repository=repository, index=index, git=git)
        asked = ("shop/cart.py", "cart.py", "cart", "notes", "Cart", "total", "Cart.total", "sum", "nothing", "a.b.c")
        assert await names.known(asked) == {"shop/cart.py", "cart.py", "cart", "notes"}  # nothing is parsed yet
        await CheckoutFeed(index=index, git=git, repository=repository).take_in()
        assert await names.known(asked) == set(asked) - {"sum", "nothing", "a.b.c"}
    finally:
        await index.close()
