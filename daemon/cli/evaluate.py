"""``ouro eval``: what a feature brings, measured with it and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.base import call_of, leave, run_async
from daemon.exit_codes import Exit
from daemon.views.text import clean, json_text
from ledger.errors import ConfigError

if TYPE_CHECKING:
    from daemon.evaluation.paired import Trial
    from daemon.evaluation.trial import TrialResult


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(help="Measure what features bring.", no_args_is_help=True)
    group.callback()(lambda: None)  # a group, though it has a single command
    group.command("lift")(lift)
    app.add_typer(group, name="eval")


def lift(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Tasks, as for `ouro bench repair`.")],
    feature: Annotated[list[str] | None, typer.Option(help="What to go without; may be repeated (all).")] = None,
    out: Annotated[Path, typer.Option(help="Results, a JSON line each; a later call appends to them.")] = Path(
        "eval-lift.jsonl"
    ),
    work: Annotated[
        Path, typer.Option(help="Repositories and records of the runs, kept for a second call; may be deleted.")
    ] = Path("eval-lift.work"),
    most: Annotated[
        int | None, typer.Option(help="Work on this many of the tasks, always the same ones.", min=1)
    ] = None,
    cap: Annotated[float, typer.Option(help="Seconds that one task may take.", min=1)] = 180.0,
) -> None:
    """The same tasks with everything and without each feature, one after the other; what is compared is each task.

    Tasks whose names differ in their last number only are worked on in one repository, one after the other, so that
    there is something to remember. A feature pays where the whole interval says so, else that was not shown.

    Example: ouro eval lift tasks --feature memory --feature moves --most 12
    """
    from daemon.evaluation.features import FEATURES, by_default
    from daemon.evaluation.lift import lift_table
    from daemon.evaluation.paired import trials
    from daemon.evaluation.report import read_results
    from daemon.evaluation.tasks import drawn, read_tasks
    from daemon.settings.config import user_environment

    features = tuple(dict.fromkeys(feature or FEATURES))
    unknown = [name for name in features if name not in FEATURES]
    if unknown:
        raise ConfigError(f"There is no feature {unknown[0]!r}.", remedy=f"There is: {', '.join(FEATURES)}.")
    call, tasks = call_of(context), drawn(read_tasks(folder, ()), most)
    done = {(r.task, r.label) for r in read_results(out)}
    left = [t for t in trials(tasks, features, work, user_environment()) if (t.task.name, t.label) not in done]

    def tell(trial: Trial, result: TrialResult) -> None:
        text = f"{trial.task.name}, {trial.label}: {result.outcome} in {result.seconds:.1f} s"
        typer.echo(json_text(result.model_dump_json()) if call.json else clean(text))

    run_async(_work(left, out=out, cap_s=cap, tell=tell))
    names = {task.name for task in tasks}
    results = [r for r in read_results(out) if r.task in names]
    if not call.json:
        typer.echo(f"\n{lift_table(features, results, by_default())}")
    leave(Exit.DONE if results else Exit.NOTHING)


async def _work(left: list[Trial], *, out: Path, cap_s: float, tell: Callable[[Trial, TrialResult], None]) -> None:
    from daemon.evaluation.report import append
    from daemon.evaluation.trial import attempt_in

    for trial in left:
        trial.base.mkdir(parents=True, exist_ok=True)
        result = await attempt_in(
            trial.base.resolve(), trial.task, label=trial.label, cap_s=cap_s, environ=trial.variables
        )
        append(out, result)
        tell(trial, result)
