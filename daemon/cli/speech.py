"""The command for speech programs: recognised speech goes in as text, answers come out as text."""

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
    text: Annotated[str | None, typer.Argument(help="What was heard.")] = None,
    confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="How sure the speech program is; unsaid, it is asked back.")
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help='A line an utterance: text, or {"text": ..., "confidence": 0.9}.')
    ] = False,
) -> None:
    """Take a spoken command from a speech program. It approves nothing.

    Example: ouro hear "fix test total" --confidence 0.93
    """
    call = call_of(context)
    if stdin == (text is not None):
        raise ControlError("Give what was heard, or --stdin.", remedy="`ouro hear --help` shows both.")
    if text is not None:
        heard = utterance(text, confidence)
        answered = attach(call, lambda client: client.hear(heard))
        _tell(call, answered)
        leave(_exit_of(answered))
        return
    attach(call, lambda client: _all(client, call, confidence))


async def _all(client: Client, call: Call, confidence: float | None) -> None:
    """Answer line by line until the input ends; a refused line is reported and ends nothing."""
    async for line in _lines():
        try:
            _tell(call, await client.hear(read_line(line, confidence)))
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
    """Pure: plain text, or an object with a text and maybe its confidence. Raises ``ControlError`` for any other."""
    if not line.startswith("{"):
        return utterance(line, confidence)
    try:
        told = read_json(line)
    except ValueError:
        told = {}
    text, sure = told.get("text"), told.get("confidence", confidence)
    if not isinstance(text, str) or not (sure is None or (isinstance(sure, int | float) and 0 <= sure <= 1)):
        raise ControlError("The line is no utterance.", remedy='A line is text, or {"text": "...", "confidence": 0.9}.')
    return utterance(text, sure)


def utterance(text: str, confidence: float | None) -> Utterance:
    """Pure: in the units of the socket."""
    from daemon.control.messages import Utterance

    return Utterance(text=text[:2_000], confidence_bp=None if confidence is None else round(10_000 * confidence))


def _tell(call: Call, answered: Answered) -> None:
    facts = {"outcome": answered.outcome, "rule": answered.rule, "signal": answered.signal}
    sentence(call, answered.message, **facts)


def _exit_of(answered: Answered) -> Exit:
    return {"asked_back": Exit.PERSON, "refused": Exit.REFUSED, "repeated": Exit.NOTHING, "unclear": Exit.NOTHING}.get(
        answered.outcome, Exit.DONE
    )
