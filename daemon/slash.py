"""The commands of the REPL: one typed line becomes one question to the daemon and one text."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from daemon.api import AnswerRequest, Api, OpRef, OpsRequest, RejectRequest, SubmitRequest
from daemon.api_intake import PostureRequest, SignalsRequest
from daemon.api_people import SayRequest
from daemon.render import cost_block, diff_block, health_block, op_block, ops_block, status_block
from daemon.render_calibration import calibration_block
from daemon.render_intake import posture_block, sensors_block, signals_block
from daemon.slips import slip_of
from daemon.text import show
from ledger.errors import OuroError

LONGEST = 4_000  # characters of free text


@dataclass(frozen=True, slots=True)
class Reply:
    """What to print, and whether the person leaves."""

    text: str = ""
    leave: bool = False


@dataclass(frozen=True, slots=True)
class Slash:
    """One command: how it is called, what it does, whether it takes an op."""

    usage: str
    help: str
    run: Callable[[Api, list[str], bool], Awaitable[str]]
    takes_op: bool = False


async def answer(api: Api, typed: str, *, colour: bool) -> Reply:
    """Carry out one line. Refusals are part of the reply; nothing is raised for what the daemon says no to."""
    typed = typed.strip()
    if not typed:
        return Reply()
    try:
        return await _carried_out(api, typed, colour=colour)
    except OuroError as error:
        return Reply(str(error))
    except ValueError as error:
        slip = slip_of(error)
        if slip is None:
            raise
        return Reply(str(slip))


async def _carried_out(api: Api, typed: str, *, colour: bool) -> Reply:
    if not typed.startswith("/"):
        if f"/{typed.split()[0]}" in (*COMMANDS, "/help", "/q", "/quit", "/exit"):
            return Reply(f"Commands begin with '/': type /{typed}")
        return Reply((await api.say(SayRequest(text=typed[:LONGEST]))).message)  # free text is conversation
    name, _, rest = typed.partition(" ")
    if name in ("/q", "/quit", "/exit"):
        return Reply(leave=True)
    if name == "/help":
        return Reply(help_text(rest.strip()))
    command = COMMANDS.get(name)
    if command is None:
        return Reply(f"There is no command {name}. /help lists them.")
    try:
        words = shlex.split(rest)
    except ValueError:
        return Reply("A quote is not closed.")
    if command.takes_op and not words:
        return Reply(f"Usage: {command.usage}")
    return Reply(await command.run(api, words, colour))


def help_text(topic: str = "") -> str:
    """All commands, or the settings reference for the topic ``settings``."""
    if topic == "settings":
        from daemon.reference import reference

        return reference()
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"{command.usage:<{width}}  {command.help}" for command in COMMANDS.values()]
    lines.append(f"{'anything else':<{width}}  conversation: what sounds like a wish is asked about")
    lines += [f"{'/help [settings]':<{width}}  this list, or every setting", f"{'/q':<{width}}  leave"]
    return "\n".join(lines)


async def _status(api: Api, words: list[str], colour: bool) -> str:
    return show(status_block(await api.status()), colour=colour)


async def _ops(api: Api, words: list[str], colour: bool) -> str:
    view = await api.ops(OpsRequest(all="all" in words or "--all" in words))
    return show(ops_block(view.ops), colour=colour)


async def _show(api: Api, words: list[str], colour: bool) -> str:
    return show(op_block(await api.show(OpRef(op=words[0]))), colour=colour)


async def _diff(api: Api, words: list[str], colour: bool) -> str:
    view = await api.diff(OpRef(op=words[0]))
    return show(diff_block(view.diff), colour=colour) if view.diff else "There is no diff yet."


async def _approve(api: Api, words: list[str], colour: bool) -> str:
    return (await api.approve(OpRef(op=words[0]))).message


async def _reject(api: Api, words: list[str], colour: bool) -> str:
    return (await api.reject(RejectRequest(op=words[0], reason=" ".join(words[1:])))).message


async def _answer(api: Api, words: list[str], colour: bool) -> str:
    if len(words) < 2:
        return f"Usage: {COMMANDS['/answer'].usage}"
    return (await api.answer(AnswerRequest(op=words[0], text=" ".join(words[1:])))).message


async def _conversation(api: Api, words: list[str], colour: bool) -> str:
    said = (await api.conversation()).said
    return "\n".join(f"{each.who:<9}  {each.text}" for each in said) or "Nothing was said yet."


async def _cancel(api: Api, words: list[str], colour: bool) -> str:
    return (await api.cancel(OpRef(op=words[0]))).message


async def _undo(api: Api, words: list[str], colour: bool) -> str:
    return (await api.undo(OpRef(op=words[0]))).message


async def _submit(api: Api, words: list[str], colour: bool) -> str:
    if not words:
        return f"Usage: {COMMANDS['/submit'].usage}"
    done = await api.submit(SubmitRequest(goal=" ".join(words)))
    return done.message or f"{done.status} as {done.signal}: /ops shows its op, /show {done.signal} what became of it"


async def _signals(api: Api, words: list[str], colour: bool) -> str:
    return show(signals_block(await api.signals(SignalsRequest())), colour=colour)


async def _sensors(api: Api, words: list[str], colour: bool) -> str:
    return show(sensors_block(await api.sensors()), colour=colour)


async def _posture(api: Api, words: list[str], colour: bool) -> str:
    return show(posture_block(await api.posture(PostureRequest())), colour=colour)


async def _cost(api: Api, words: list[str], colour: bool) -> str:
    return show(cost_block(await api.cost()), colour=colour)


async def _calibration(api: Api, words: list[str], colour: bool) -> str:
    return show(calibration_block(await api.calibration()), colour=colour)


async def _health(api: Api, words: list[str], colour: bool) -> str:
    return show(health_block(await api.health()), colour=colour)


async def _pause(api: Api, words: list[str], colour: bool) -> str:
    return (await api.pause()).message


async def _resume(api: Api, words: list[str], colour: bool) -> str:
    return (await api.resume()).message


async def _reload(api: Api, words: list[str], colour: bool) -> str:
    return (await api.reload()).message


COMMANDS: Mapping[str, Slash] = {
    "/status": Slash("/status", "what runs, what waits, what is red", _status),
    "/ops": Slash("/ops [all]", "operations, also ended ones", _ops),
    "/show": Slash("/show OP", "everything about one op", _show, takes_op=True),
    "/diff": Slash("/diff OP", "the change of an op", _diff, takes_op=True),
    "/approve": Slash("/approve OP", "let a waiting change through", _approve, takes_op=True),
    "/reject": Slash("/reject OP [WHY]", "refuse a waiting change", _reject, takes_op=True),
    "/answer": Slash("/answer OP TEXT", "answer what the model of an op asks, or a wish", _answer, takes_op=True),
    "/said": Slash("/said", "the last turns of the conversation", _conversation),
    "/cancel": Slash("/cancel OP", "stop an op now", _cancel, takes_op=True),
    "/undo": Slash("/undo OP", "revert the commit of an op", _undo, takes_op=True),
    "/submit": Slash("/submit GOAL", "hand in work of your own", _submit),
    "/signals": Slash("/signals", "the queue: what waits and why", _signals),
    "/sensors": Slash("/sensors", "every source: its signals, its cap", _sensors),
    "/posture": Slash("/posture", "how hard the daemon leans in", _posture),
    "/cost": Slash("/cost", "what today has cost", _cost),
    "/calibration": Slash("/calibration", "what was claimed and what came true", _calibration),
    "/health": Slash("/health", "how the daemon itself is", _health),
    "/pause": Slash("/pause", "take no new ops", _pause),
    "/resume": Slash("/resume", "take ops again", _resume),
    "/reload": Slash("/reload", "restart with the settings files as they stand", _reload),
}
