"""See the package's own text."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from bench.kernel.published import file_of
from bench.rivals.attempt import attempt
from bench.rivals.homes import home
from bench.rivals.programs import PROGRAMS
from bench.rivals.server import served
from daemon.evaluation.report import append, read_results, table
from daemon.evaluation.tasks import drawn, read_tasks
from daemon.settings.config import models_folder, user_environment


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.rivals", description="What a user would use instead, on the same tasks."
    )
    parser.add_argument("folder", type=Path, help="tasks, as for `ouro bench repair`")
    parser.add_argument("--out", type=Path, required=True, help="results; a second call goes on behind them")
    parser.add_argument("--rival", action="append", choices=list(PROGRAMS), help="may be repeated; default: all")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--only", action="append", default=[], help="a task by name; may be repeated")
    parser.add_argument("--most", type=int, default=None, help="as many of the tasks as this, always the same ones")
    parser.add_argument("--cap", type=float, default=180.0, help="seconds that one task may take")
    parser.add_argument("--homes", type=Path, default=Path.home() / ".cache/ouroboros-bench/rivals")
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    tasks = drawn(read_tasks(chosen.folder, tuple(chosen.only)), chosen.most)
    weights = file_of(models_folder(), chosen.model)
    threads = len(os.sched_getaffinity(0))
    chosen.homes.mkdir(parents=True, exist_ok=True)
    for rival in chosen.rival or PROGRAMS:
        done = {(r.task, r.label) for r in read_results(chosen.out)}
        left = [task for task in tasks if (task.name, f"{rival} {chosen.model}") not in done]
        for task in left:  # a server each: nothing of one task is in its cache at the next
            with served(home("xllamacpp", chosen.homes) / "python", weights, threads) as server:
                result = asyncio.run(
                    attempt(
                        task, rival, server, model=chosen.model, homes=chosen.homes, cap_s=chosen.cap,
                        environ=user_environment(),
                    )
                )  # fmt: skip
            append(chosen.out, result)
            print(f"{rival}: {task.name}: {result.outcome} in {result.seconds:.1f} s", flush=True)
    names = {task.name for task in tasks}
    print(f"\n{table([r for r in read_results(chosen.out) if r.task in names])}")


if __name__ == "__main__":
    main()
