from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.cli.follow import fix_and_wait, submit_and_wait
from daemon.control.client import Client
from daemon.control.messages import AnswerRequest, Event, Fixing, FixRequest, RejectRequest, SubmitRequest
from daemon.control.server import ControlServer
from daemon.lifecycle.exits import Exit
from daemon.repl import run_repl
from daemon.repl.commands import answer, completions
from ledger.vocabulary import OpOutcome, Phase, RootCause
from tests.daemon.scripted_api import OP, ScriptedApi, entry, op_view
from tests.daemon.test_control import SETTINGS, beside, connected, laid


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", ""),
        ("/status", "ouroboros 0.1.0"),
        ("/ops all", "GENERATE"),
        ("/show 7f3a", "Make test_total pass."),
        ("/show", "Usage: /show OP"),
        ("/show nothing", "No op matches 'nothing'. `ouro ops --all` lists them."),
        ("/diff 7f3a", "return subtotal - discount"),
        ("/approve 7f3a", "Only the owner may. Ask the owner."),
        ("/reject 7f3a 'not good' enough", "rejected"),
        ("/submit Make it so", "queued as sig-1"),
        ("/cost", "small-model"),
        ("/pause", "paused"),
        ("/resume", "resumed"),
        ("/nonsense", "no command /nonsense"),
        ("/show 'open", "not closed"),
        ("/help", "/approve OP"),
        ("/help settings", "## [pipeline]"),
        ("make it faster", "Noted: make it faster"),
        ("/said", "owner      It is slow"),
        ("status", "Commands begin with '/': type /status"),
        ("show 7f3a", "type /show 7f3a"),
        (f"/show {'y' * 300}", "op cannot be 'yyyyy"),
        ("half a letter \udcc3", "text cannot be"),
    ],
)
async def test_commands(typed: str, told: str) -> None:
    reply = await answer(ScriptedApi(), typed, colour=False)
    assert told in reply.text and not reply.leave


async def test_words_reach_the_daemon() -> None:
    api = ScriptedApi()
    await answer(api, "/reject 7f3a 'not good' enough", colour=False)
    await answer(api, "/submit Make it so", colour=False)
    await answer(api, "/answer q-1a2b3c half up", colour=False)
    assert "Usage: /answer OP TEXT" in (await answer(api, "/answer 7f3a", colour=False)).text
    assert api.asked == [
        ("reject", RejectRequest(op="7f3a", reason="not good enough")),
        ("submit", SubmitRequest(goal="Make it so")),
        ("answer", AnswerRequest(op="q-1a2b3c", text="half up")),
    ]
    assert (await answer(api, "/q", colour=False)).leave


@pytest.mark.parametrize(
    ("typed", "words"),
    [("/sh", ["/show"]), ("/show 1c", ["1c7f3a"]), ("/show zz", []), ("/status ", []), ("/show a b", [])],
)
def test_completion(typed: str, words: list[str]) -> None:
    assert completions(typed, ["1c7f3a", "beef00"]) == words


async def test_in_a_pipe_lines_are_answered_and_the_end_is_the_end() -> None:
    said = io.StringIO()
    await run_repl(ScriptedApi(), stdin=io.StringIO("/pause\n/nonsense\n"), stdout=said)
    assert said.getvalue().splitlines() == ["paused", "There is no command /nonsense. /help lists them."]


async def test_events_are_shown_between_the_answers() -> None:
    read, write = os.pipe()
    api, said = ScriptedApi(), io.StringIO()
    with os.fdopen(read) as stdin, os.fdopen(write, "w", buffering=1) as typing:
        talking = asyncio.ensure_future(run_repl(api, stdin=stdin, stdout=said))
        await api.subscribed.wait()
        api.published.put_nowait(Event(cursor=1, entry=entry(1, "infilled", infills=7)))
        while "7 candidates" not in said.getvalue():  # noqa: ASYNC110 - plain text has no event to wait for
            await asyncio.sleep(0.005)
        typing.write("/pause\n/q\n")
        await asyncio.wait_for(talking, 5)
    assert said.getvalue().rstrip().endswith("paused")
    assert api.unsubscribed.is_set()


class Door:
    """A served scripted daemon and a client of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.api = ScriptedApi()
        self.path = tmp_path / "control.sock"
        self.server = ControlServer(api=self.api, path=self.path, settings=SETTINGS, token=laid(self.path))
        self.shown: list[Event] = []

    async def __aenter__(self) -> Client:
        await self.server.start()
        self.client = await connected(self.path)
        return self.client

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()
        await self.server.close()


@pytest.mark.parametrize(
    ("changes", "event", "code"),
    [
        ({"state": OpOutcome.COMPLETE}, "terminal", Exit.DONE),
        ({"state": Phase.APPROVE, "waiting": True}, "approval.requested", Exit.PERSON),
        ({"state": OpOutcome.POSTMORTEM, "root_cause": RootCause.NO_CANDIDATE}, "terminal", Exit.PERSON),
        ({"state": OpOutcome.BLOCKED, "root_cause": RootCause.BLOCKED_PATH}, "terminal", Exit.REFUSED),
    ],
)
async def test_fix_waits_for_its_own_op(tmp_path: Path, changes: dict[str, object], event: str, code: Exit) -> None:
    door = Door(tmp_path)
    other = OP.replace("7f3a-", "beef-")
    async with door as client:
        done = asyncio.ensure_future(fix_and_wait(client, FixRequest(), door.shown.append))
        await door.api.subscribed.wait()
        door.api.ops_now = (op_view(), op_view(id=other, short="1cbeef", signals=("sig-2",)))
        door.api.published.put_nowait(Event(cursor=1, entry=entry(1, "terminal", op=other, to="COMPLETE")))
        door.api.published.put_nowait(Event(cursor=2, entry=entry(2, "infilled")))
        while len(door.shown) < 2:  # noqa: ASYNC110 - a list has no event to wait for
            await asyncio.sleep(0.005)
        assert not done.done()
        door.api.ops_now = (op_view(**changes),)
        door.api.published.put_nowait(Event(cursor=3, entry=entry(3, event, to="COMPLETE")))
        assert await asyncio.wait_for(done, 5) is code
    assert [shown.cursor for shown in door.shown] == [0, 2, 3]


async def test_fix_with_nothing_red_has_nothing_to_do(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.api.fixing = Fixing(message="all 38 tests pass")
    async with door as client:
        assert await fix_and_wait(client, FixRequest(), door.shown.append) is Exit.NOTHING
    assert [shown.note for shown in door.shown] == ["all 38 tests pass"]


async def test_an_end_that_was_missed_is_found(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.api.ops_now = (op_view(state=OpOutcome.COMPLETE),)
    async with door as client:
        done = asyncio.ensure_future(submit_and_wait(client, SubmitRequest(goal="x"), door.shown.append))
        await door.api.subscribed.wait()
        door.api.published.put_nowait(Event(cursor=9, entry=entry(9, "boot", op=None), missed=50))
        assert await asyncio.wait_for(done, 5) is Exit.DONE


async def test_an_op_is_known_by_its_signals_once_it_has_begun(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.api.ops_now = (op_view(signals=()),)
    async with door as client:
        done = asyncio.ensure_future(submit_and_wait(client, SubmitRequest(goal="x"), door.shown.append))
        await door.api.subscribed.wait()
        door.api.published.put_nowait(Event(cursor=1, entry=entry(1, "claimed")))
        while not any(name == "show" for name, _ in door.api.asked):  # noqa: ASYNC110 - a list has no event to wait for
            await asyncio.sleep(0.005)
        door.api.ops_now = (op_view(state=OpOutcome.COMPLETE),)
        door.api.published.put_nowait(Event(cursor=2, entry=entry(2, "terminal", to="COMPLETE")))
        assert await asyncio.wait_for(done, 5) is Exit.DONE


@contextmanager
def repl_at_a_terminal(path: Path) -> Iterator[tuple[int, bytearray, subprocess.Popen[bytes]]]:
    """The REPL as a process on a pseudo-terminal of 24 x 80; what it writes gathers in the array."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    code = (
        "import sys\nfrom pathlib import Path\nfrom daemon.settings.bounds import ControlSettings\n"
        "from daemon.control.client import Client\nfrom daemon.repl import run_repl\nfrom ledger import event_loop\n"
        "async def whole():\n"
        f"    path, token = Path({str(path)!r}), Path({str(beside(path))!r})\n"
        "    async with await Client.connect(path, ControlSettings(), token=token) as client:\n"
        "        await run_repl(client, stdin=sys.stdin, stdout=sys.stdout)\n"
        "event_loop.run(whole())\n"
    )
    env = {**os.environ, "TERM": "xterm"}
    seen = bytearray()
    reader = threading.Thread(target=_collect, args=(ours, seen))
    with subprocess.Popen([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        reader.start()
        try:
            yield ours, seen, process
        finally:
            process.kill()
            process.wait()
            reader.join()
            os.close(ours)


async def test_at_a_terminal(tmp_path: Path) -> None:
    """The real prompt: an event arrives while a command is being typed."""
    api, path = ScriptedApi(), tmp_path / "control.sock"
    server = ControlServer(api=api, path=path, settings=SETTINGS, token=laid(path))
    await server.start()
    try:
        with repl_at_a_terminal(path) as (terminal, seen, process):
            await asyncio.wait_for(api.subscribed.wait(), 20)
            await _until(seen, b"ouro>")
            os.write(terminal, b"/pau")
            await _until(seen, b"/pau")
            api.published.put_nowait(Event(cursor=1, entry=entry(1, "infilled", infills=7)))
            await _until(seen, b"7 candidates")
            os.write(terminal, b"se\r")
            await _until(seen, b"paused")
            os.write(terminal, b"/q\r")
            assert await asyncio.to_thread(process.wait, 20) == 0
    finally:
        await server.close()


def _collect(descriptor: int, seen: bytearray) -> None:
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            return
        if not data:
            return
        seen += data
        if b"\x1b[6n" in data:  # the prompt asks where the cursor is
            os.write(descriptor, b"\x1b[1;1R")


async def _until(seen: bytearray, wanted: bytes) -> None:
    async with asyncio.timeout(20):
        while wanted not in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", bytes(seen)):  # noqa: ASYNC110 - a terminal has no event to wait for
            await asyncio.sleep(0.01)
