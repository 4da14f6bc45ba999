"""The commands of the REPL, derived from the control table: one typed line becomes one request and one text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from daemon.control.messages import SayRequest, Submitted
from daemon.control.method import Method
from daemon.control.table import METHODS, ControlApi
from daemon.exit_codes import input_error_of
from daemon.views.result_block import block_of
from daemon.views.text import show
from ledger.errors import OuroError

LONGEST = 4_000  # characters of free text
COMMANDS: Mapping[str, Method] = {each.usage.split()[0]: each for each in METHODS.values() if each.usage}
LEAVE = ("/q", "/quit", "/exit")


@dataclass(frozen=True, slots=True)
class ReplAnswer:
    """What to print, and whether the session ends."""

    text: str = ""
    leave: bool = False


async def answer(api: ControlApi, typed: str, *, colour: bool) -> ReplAnswer:
    """Carry out one line. A refusal is part of the answer; it raises nothing."""
    typed = typed.strip()
    if not typed:
        return ReplAnswer()
    try:
        return await _carried_out(api, typed, colour=colour)
    except OuroError as error:
        return ReplAnswer(str(error))
    except ValueError as error:
        input_error = input_error_of(error)
        if input_error is None:
            raise
        return ReplAnswer(str(input_error))


async def _carried_out(api: ControlApi, typed: str, *, colour: bool) -> ReplAnswer:
    if not typed.startswith("/"):
        if f"/{typed.split()[0]}" in (*COMMANDS, "/help", *LEAVE):
            return ReplAnswer(f"Commands begin with '/': type /{typed}")
        return ReplAnswer((await api.say(SayRequest(text=typed[:LONGEST]))).message)  # free text is conversation
    name, _, rest = typed.partition(" ")
    if name in LEAVE:
        return ReplAnswer(leave=True)
    if name == "/help":
        return ReplAnswer(help_text(rest.strip()))
    method = COMMANDS.get(name)
    if method is None:
        return ReplAnswer(f"There is no command {name}. /help lists them.")
    try:
        words = shlex.split(rest)
    except ValueError:
        return ReplAnswer("A quote is not closed.")
    params = params_of(method.usage, words)
    if params is None:
        return ReplAnswer(f"Usage: {method.usage}")
    return ReplAnswer(_text_of(await method.call(api, method.params.model_validate(params)), colour=colour))


def params_of(usage: str, words: Sequence[str]) -> dict[str, object] | None:
    """Pure: what was typed after a command, by the fields that its usage names; None where one is missing.

    ``OP`` takes one word, the last name in capitals takes all that is left, ``[REASON]`` may be missing, and ``[all]``
    is set by that word.
    """
    params: dict[str, object] = {}
    places, left = usage.split()[1:], list(words)
    for number, place in enumerate(places):
        name = place.strip("[]").lower()
        if place.strip("[]").islower():
            if {name, f"--{name}"} & set(words):
                params[name] = True
        elif left:
            params[name] = " ".join(left) if number == len(places) - 1 and name != "op" else left.pop(0)
        elif not place.startswith("["):
            return None
    return params


def _text_of(result: BaseModel, *, colour: bool) -> str:
    if isinstance(result, Submitted):
        signal = result.signal
        return result.message or (f"{result.status} as {signal}: /ops shows its op, /show {signal} what became of it")
    return show(block_of(result), colour=colour)


def help_text(topic: str = "") -> str:
    """All commands, or the settings reference for the topic ``settings``."""
    if topic == "settings":
        from daemon.settings.reference import reference

        return reference()
    width = max(len(method.usage) for method in COMMANDS.values())
    lines = [f"{method.usage:<{width}}  {method.help}" for method in COMMANDS.values()]
    lines.append(f"{'anything else':<{width}}  conversation: what sounds like a wish is asked about")
    lines += [f"{'/help [settings]':<{width}}  this list, or every setting", f"{'/q':<{width}}  leave"]
    return "\n".join(lines)


def completions(typed: str, ops: Sequence[str]) -> list[str]:
    """What the last word of ``typed`` can become: a command, or an op for a command that takes one."""
    name, blank, rest = typed.partition(" ")
    if not blank:
        return [command for command in (*COMMANDS, "/help", "/q") if command.startswith(name)]
    method = COMMANDS.get(name)
    if method is None or " OP" not in method.usage or " " in rest:
        return []
    return [op for op in ops if op.startswith(rest)]
