"""``ouro bench``: measures how many tasks with a known answer are repaired on this machine, with these settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.base import Call, call_of, leave, run_async, sentence
from daemon.exit_codes import Exit
from daemon.views.text import clean, json_text

if TYPE_CHECKING:
    from daemon.evaluation.tasks import Task
    from daemon.evaluation.trial import TrialResult


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    bench = typer.Typer(help="Measure repair on tasks with a known answer.", no_args_is_help=True)
    bench.command("repair")(repair)
    bench.command("mine")(mine)
    app.add_typer(bench, name="bench")


def repair(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Tasks: folders with repo/, task.json and (hidden tests) oracle/.")],
    out: Annotated[Path, typer.Option(help="Results, a JSON line each; a later call appends to them.")] = Path(
        "bench-repair.jsonl"
    ),
    only: Annotated[list[str] | None, typer.Option("--only", help="A task by name; may be repeated.")] = None,
    most: Annotated[
        int | None, typer.Option(help="Work on this many of the tasks, always the same ones.", min=1)
    ] = None,
    cap: Annotated[float, typer.Option(help="Seconds that one task may take.", min=1)] = 180.0,
    label: Annotated[str, typer.Option(help="Name of these settings in the results.")] = "default",
) -> None:
    """Run `ouro fix` on each task, and judge its commit by hidden tests.

    Settings come from your own settings files and the environment (OURO_...). An interrupted call resumes.

    Example: ouro bench repair tasks --cap 180 --label 1.5b
    """
    from daemon.evaluation.report import read_results, table
    from daemon.evaluation.tasks import drawn, read_tasks
    from daemon.settings.config import user_environment

    call = call_of(context)
    tasks = drawn(read_tasks(folder, tuple(only or ())), most)
    done = {(r.task, r.label) for r in read_results(out)}
    left = [task for task in tasks if (task.name, label) not in done]

    def report(task: Task, result: TrialResult) -> None:
        text = f"{task.name}: {result.outcome} in {result.seconds:.1f} s"
        line = clean(f"{text}{f' ({result.why})' if result.why else ''}")
        typer.echo(json_text(result.model_dump_json()) if call.json else line)

    run_async(_attempt_tasks(left, out=out, cap_s=cap, label=label, environ=user_environment(), report=report))
    names = {task.name for task in tasks}
    results = [r for r in read_results(out) if r.task in names]
    if not call.json:
        typer.echo(f"\n{table(results)}")
    leave(Exit.DONE if results else Exit.NOTHING)


def mine(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder for the tasks; created if missing.")],
    last: Annotated[int, typer.Option(help="Commits to look at, newest first.", min=1)] = 500,
) -> None:
    """Make tasks from this repository's past repairs: commits whose tests fail before and pass after.

    Half of a commit's tests are hidden from the repairer and judge it. Nothing in the repository is changed.

    Example: ouro bench mine tasks --last 200
    """
    call = call_of(context)
    made = run_async(_mine_commits(call, out, last))
    leave(Exit.DONE if made else Exit.NOTHING)


async def _mine_commits(call: Call, out: Path, last: int) -> int:
    from daemon.evaluation.judge import tools_for
    from daemon.evaluation.mine import Mine

    made = 0
    async for mined in Mine(await tools_for(call.config()), out).dig(last):
        made += not mined.why
        sentence(
            call, f"{mined.commit[:12]} {mined.title[:60]}: {mined.why or 'a task'}", commit=mined.commit, why=mined.why
        )
    return made


async def _attempt_tasks(
    tasks: list[Task],
    *,
    out: Path,
    cap_s: float,
    label: str,
    environ: dict[str, str],
    report: Callable[[Task, TrialResult], None],
) -> None:
    from daemon.evaluation.report import append
    from daemon.evaluation.trial import attempt

    for task in tasks:  # one at a time: concurrent ones would compete for the cores
        result = await attempt(task, label=label, cap_s=cap_s, environ=environ)
        append(out, result)
        report(task, result)
