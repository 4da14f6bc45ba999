"""How a command reaches the running daemon, or does without one."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from daemon.cli.base import Call, answer, call_of, has_colour, run_async, sentence
from daemon.views.text import json_text
from ledger.errors import NoDaemon

if TYPE_CHECKING:
    from pydantic import BaseModel

    from daemon.control.client import Client
    from daemon.control.messages import Ack, Event
    from daemon.control.table import ControlApi
    from daemon.settings.config import Config

T = TypeVar("T")
V = TypeVar("V", bound="BaseModel")


async def reach(
    config: Config, work: Callable[[Client], Awaitable[T]], without: Callable[[NoDaemon], Awaitable[T]]
) -> T:
    """``work`` with this repository's daemon; ``without`` where none answers."""
    from daemon.control.client import Client

    try:
        client = await Client.connect(config.places.socket, config.settings.control, token=config.places.token)
    except NoDaemon as missing:
        return await without(missing)
    async with client:
        return await work(client)


def attach(call: Call, work: Callable[[Client], Awaitable[T]]) -> T:
    """``work`` with the running daemon. Raises ``NoDaemon`` where none answers."""

    async def refuse(missing: NoDaemon) -> T:
        raise missing

    return run_async(reach(call.config(), work, refuse))


def ask(call: Call, work: Callable[[ControlApi], Awaitable[T]]) -> T:
    """``work`` with the running daemon; where none runs, with what the control table answers from the record."""
    config = call.config()

    async def offline(missing: NoDaemon) -> T:
        from daemon.control.offline import OfflineApi

        return await work(OfflineApi(config, missing))

    return run_async(reach(config, work, offline))


def show(context: typer.Context, work: Callable[[ControlApi], Awaitable[V]]) -> V:
    """Ask, and print the result as JSON or as its block of text."""
    from daemon.views.result_block import block_of

    call = call_of(context)
    view = ask(call, work)
    answer(call, view, block_of(view))
    return view


def acknowledge(context: typer.Context, work: Callable[[ControlApi], Awaitable[Ack]]) -> None:
    """Give an order, and print the sentence that confirms it."""
    call = call_of(context)
    done = ask(call, work)
    sentence(call, done.message, op=done.op)


def config_for_work(call: Call) -> Config:
    """The settings, in a process that may run ops itself."""
    from daemon.settings.config import prepare_process

    prepare_process()
    return call.config()


def event_printer(call: Call) -> Callable[[Event], None]:
    """Prints live blocks, or with --json one event a line."""
    from daemon.views.live_blocks import LiveBlocks

    blocks = LiveBlocks(colour=has_colour())

    def show_event(event: Event) -> None:
        text = json_text(event.model_dump_json()) if call.json else blocks.event(event)
        if text:
            typer.echo(text)
            sys.stdout.flush()

    return show_event
