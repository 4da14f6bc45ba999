"""Shared by all commands: the application, its global options, and the output of answers and errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from daemon.exit_codes import Exit, epilog, exit_for_error
from daemon.settings.terminal import takes_colour
from daemon.views.text import Line, Role, Span, json_text, line, show
from ledger.errors import OuroError, RepositoryError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from daemon.settings.config import Config

T = TypeVar("T")

app = typer.Typer(
    name="ouro",
    help="A governed maintenance daemon for a git repository: a failing test becomes a verified, signed commit.",
    epilog=epilog(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True, slots=True)
class Call:
    """The global options of one call of ``ouro``."""

    repo: Path
    json: bool

    def config(self) -> Config:
        """The configuration for the repository that was given."""
        from daemon.settings.config import load

        return load(self.repo)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"ouroboros {version('ouroboros')}")
        raise typer.Exit


@app.callback()
def _global(
    context: typer.Context,
    repo: Annotated[Path, typer.Option(help="A folder of the repository; default: the current one.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """--repo and --json may be given before or after the command."""
    try:
        context.obj = Call(repo=repo.absolute(), json=as_json)
    except FileNotFoundError as error:
        raise RepositoryError(
            "The current folder does not exist any more.",
            remedy="Change to another one, or give the repository's absolute path with --repo.",
        ) from error


def call_of(context: typer.Context) -> Call:
    """The global options, from any command."""
    found = context.find_object(Call)
    return found if found is not None else Call(repo=Path.cwd(), json=False)


def move_global_options(words: list[str]) -> list[str]:
    """Move ``--json`` and ``--repo`` from anywhere before ``--`` to the front of the command line."""
    front: list[str] = []
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += [word, *queue]
            break
        if word == "--json" or word.startswith("--repo="):
            front.append(word)
        elif word == "--repo" and queue:
            front += [word, queue.pop(0)]
        else:
            rest.append(word)
    return [*dict.fromkeys(w for w in front if w == "--json"), *(w for w in front if w != "--json"), *rest]


def has_colour() -> bool:
    """Whether standard output takes colours."""
    return takes_colour(sys.stdout)


def put(block: Iterable[Line]) -> None:
    """Print a block of text."""
    typer.echo(show(block, colour=has_colour()))


def answer(call: Call, value: BaseModel, block: Iterable[Line]) -> None:
    """Print a result: as JSON with ``--json``, else as text."""
    if call.json:
        typer.echo(json_text(value.model_dump_json(indent=2)))
    else:
        put(block)


def sentence(call: Call, text: str, **facts: object) -> None:
    """Print one sentence; with ``--json`` an object of the sentence and ``facts``."""
    typer.echo(json.dumps({"message": text, **facts}) if call.json else show([line(text)], colour=False))


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end. Ctrl-C and SIGTERM cancel it, but not the work of a daemon that it was waiting for."""
    import asyncio
    import signal

    from ledger import event_loop

    async def stoppable() -> T:
        task = asyncio.create_task(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return event_loop.run(stoppable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("", err=True)
        raise typer.Exit(int(Exit.STOPPED)) from None


def leave(code: Exit) -> None:
    """End the command with ``code``."""
    if code is not Exit.DONE:
        raise typer.Exit(int(code))


def report(error: OuroError, *, as_json: bool) -> int:
    """Print the error and its remedy; returns the exit code."""
    code = getattr(error, "exit", None) or exit_for_error(error)
    fields = {"type": type(error).__name__, "message": error.message, "remedy": error.remedy, "exit": int(code)}
    parts = [Span("ouro: ", Role.BAD), Span(error.message)]
    with suppress(OSError):  # the error may be that this stream cannot be written
        if as_json:
            typer.echo(json.dumps({"error": fields}))
    with suppress(OSError):
        typer.echo(show([line(*parts)], colour=takes_colour(sys.stderr)), err=True)
        if error.remedy:
            typer.echo(show([line(Span("      " + error.remedy))], colour=False), err=True)
    return int(code)


def replace_closed_streams() -> None:
    """Open /dev/null for standard streams that were closed before the start: ``sys`` has None for them, and the next
    opened file would get the descriptor of one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is the stream's own
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8"))


def discard_unwritten_output() -> None:
    """Discard output that a stream cannot write: Python would try again at exit, and print a traceback."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
