"""``ouro model``: the weights of the embedded kernel. Needs no daemon; only ``probe`` needs a repository."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.base import Call, answer, call_of, leave, sentence
from daemon.cli.probe import probe
from daemon.exit_codes import Exit
from daemon.views.text import Role, Span, line

Progress = Callable[[int, int, str], None]
_STEPS = 10


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    model = typer.Typer(
        help="List, inspect and download weights of the local kernel, and try the model in use.",
        no_args_is_help=True,
    )
    model.command("list")(list_models)
    model.command("status")(status)
    model.command("pull")(pull)
    model.command("probe")(probe)
    app.add_typer(model, name="model")


def list_models(context: typer.Context) -> None:
    """The models that can be fetched by name.

    Example: ouro model list
    """
    from daemon.lifecycle.weights import known_models

    found = known_models(_folder())
    lines = [
        line(
            Span(f"{one.name:<28}", Role.HEAD),
            f"{one.megabytes:>6} MB  ",
            Span(f"{'here' if one.fetched or one.converted else '-':<6}", Role.GOOD),
            one.license,
        )
        for one in found.models
    ]
    answer(call_of(context), found, lines)


def status(context: typer.Context) -> None:
    """Which weights are on this machine, and where.

    Example: ouro model status --json
    """
    from daemon.lifecycle.weights import known_models

    found = known_models(_folder())
    here = [one for one in found.models if one.fetched or one.converted]
    lines = [line(f"{found.folder}: {len(here)} of {len(found.models)} models")]
    lines += [line(f"  {one.name}  ", Span("converted" if one.converted else "fetched", Role.GOOD)) for one in here]
    answer(call_of(context), found.model_copy(update={"models": tuple(here)}), lines)
    leave(Exit.DONE if here else Exit.NOTHING)


def pull(context: typer.Context, name: Annotated[str, typer.Argument(help="A name of `ouro model list`.")]) -> None:
    """Download weights. Resumes an interrupted download and verifies the checksum.

    Example: ouro model pull qwen2.5-coder-1.5b
    """
    from kernel.weights.pull import pull as fetch

    call = call_of(context)
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _progress(call) as progress:
        found = fetch(name, models_dir=folder, progress=progress)
    sentence(call, f"{name} is at {found.path}. {found.note}".removesuffix(". "), path=str(found.path))


def _folder() -> Path:
    from daemon.settings.config import models_folder

    return models_folder()


@contextmanager
def _progress(call: Call) -> Iterator[Progress]:
    """Progress on standard error: a bar on a terminal, elsewhere a line per tenth. Standard output stays clean."""
    if sys.stderr.isatty() and not call.json:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("weights", total=None)
            yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)
        return
    last = -1

    def plain(done: int, total: int, what: str) -> None:
        nonlocal last
        step = _STEPS * done // max(total, 1)
        if step != last:
            last = step
            typer.echo(f"{what}: {done // 2**20} of {total // 2**20} MB", err=True)

    yield plain
