"""The command `ouro hear` for speech programs: recognised speech as input, replies as output, both as text."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.base import Call, call_of, leave, sentence
from daemon.cli.connect import attach
from daemon.exit_codes import Exit
from ledger.errors import ControlError, NoDaemon, OuroError
from ledger.parsers.json import read_json

if TYPE_CHECKING:
    from daemon.control.client import Client
    from daemon.control.messages import Answered, Utterance


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("hear")(hear)


def hear(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="The recognised text.")] = None,
    confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="How sure the speech program is; unsaid, it is asked back.")
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help='Read one utterance per line: text, or {"text": ..., "confidence": 0.9}.')
    ] = False,
) -> None:
    """Take a spoken command from a speech program. It approves nothing.

    Example: ouro hear "fix test total" --confidence 0.93
    """
    call = call_of(context)
    if stdin == (text is not None):
        raise ControlError("Give the recognised text, or --stdin.", remedy="`ouro hear --help` shows both.")
    if text is not None:
        spoken = utterance(text, confidence)
        reply = attach(call, lambda client: client.hear(spoken))
        _print_reply(call, reply)
        leave(_exit_code(reply))
        return
    attach(call, lambda client: _answer_lines(client, call, confidence))


async def _answer_lines(client: Client, call: Call, confidence: float | None) -> None:
    """Answer line by line until the input ends; a refused line is reported, and the next one is read."""
    async for line in _lines():
        try:
            _print_reply(call, await client.hear(read_line(line, confidence)))
        except NoDaemon:
            raise
        except OuroError as error:
            sentence(call, str(error), outcome="refused")
        sys.stdout.flush()


async def _lines() -> AsyncIterator[str]:
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            yield line.strip()


def read_line(line: str, confidence: float | None) -> Utterance:
    """An utterance from plain text, or from a JSON object with text and optional confidence. Pure.

    Raises ``ControlError`` for an object of another form.
    """
    if not line.startswith("{"):
        return utterance(line, confidence)
    try:
        values = read_json(line)
    except ValueError:
        values = {}
    text, stated = values.get("text"), values.get("confidence", confidence)
    if not isinstance(text, str) or not (stated is None or (isinstance(stated, int | float) and 0 <= stated <= 1)):
        raise ControlError("The line is no utterance.", remedy='A line is text, or {"text": "...", "confidence": 0.9}.')
    return utterance(text, stated)


def utterance(text: str, confidence: float | None) -> Utterance:
    """An utterance in the units of the control socket: confidence in basis points. Pure."""
    from daemon.control.messages import Utterance

    return Utterance(text=text[:2_000], confidence_bp=None if confidence is None else round(10_000 * confidence))


def _print_reply(call: Call, reply: Answered) -> None:
    facts = {"outcome": reply.outcome, "rule": reply.rule, "signal": reply.signal}
    sentence(call, reply.message, **facts)


def _exit_code(reply: Answered) -> Exit:
    return {"asked_back": Exit.PERSON, "refused": Exit.REFUSED, "repeated": Exit.NOTHING, "unclear": Exit.NOTHING}.get(
        reply.outcome, Exit.DONE
    )
