"""What it costs to watch a verdict, on real packages: `python -m bench.verdicts FOLDER OTHER [--rounds 5]`.

FOLDER holds unpacked source distributions whose tests need pytest alone. OTHER is another checkout of this repository;
the suites are run whole by its runner and by this one, in turn, without a sandbox (its processes' time is not told), in an environment with pytest. What
is compared is the processor's time of a process that runs the suite so many times, its start included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
CHILD = """
import asyncio, json, sys
from pathlib import Path
from tests.tools.testing.projects import make_environment, make_project, shared_packages

async def main(base, rounds, roots):
    python = make_environment(base / "venv", shared_packages(base / "packages"))
    project = await make_project(base, {}, python, "none", import_roots=roots, suite_s=300.0)
    try:
        async with project.runner().several(project.ws) as tests:
            for _ in range(rounds):
                await tests.reset()
                run = await tests.run(None)
                print(json.dumps([run.status.value, run.reason, len(run.results), len(run.red), run.duration_ms]))
    finally:
        await project.workspaces.release(project.ws)
        await project.workspaces.close()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])))
"""


Row = tuple[str, str, int, int, int]
"""Status, reason, results, red ones, milliseconds."""


def runs(tree: Path, package: Path, rounds: int) -> tuple[Row, float]:
    """The last run of a process that runs the suite ``rounds`` times, and the processor's seconds of all of it."""
    with tempfile.TemporaryDirectory(prefix="ouro-bench-") as folder:
        base = Path(folder)
        subprocess.run(["cp", "-r", str(package), str(base / "repo")], check=True)
        git = ["git", "-C", str(base / "repo"), "-c", "user.name=x", "-c", "user.email=x@example.org"]
        for words in (["init", "-q"], ["add", "-Af"], ["commit", "-qm", "all"]):
            subprocess.run([*git, *words], check=True, capture_output=True)
        roots = ["src"] if (package / "src").is_dir() else ["."]
        argv = [sys.executable, "-c", CHILD, str(base), str(rounds), json.dumps(roots)]
        env = {**os.environ, "PYTHONPATH": str(tree)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(argv, cwd=tree, env=env, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{package.name}: {done.stderr[-600:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return tuple(json.loads(done.stdout.splitlines()[-1])), spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=3)
    chosen = parser.parse_args()
    print("| package | tests | watched | without | more | verdict |\n|---|---|---|---|---|---|")
    for package in sorted(path for path in chosen.folder.iterdir() if path.is_dir()):
        spent: dict[Path, list[float]] = {HERE: [], chosen.other: []}
        last: dict[Path, Row] = {}
        for _ in range(chosen.turns):
            for tree, seconds in spent.items():
                last[tree], took = runs(tree, package, chosen.rounds)
                seconds.append(took)
        new, old = (statistics.median(seconds) for seconds in spent.values())
        (status, reason, results, red, _), before = last[HERE], last[chosen.other]
        same = "" if (status, results, red) == (before[0], *before[2:4]) else f"; without: {before[0]}, {before[3]} red"
        said = f"{status}, {red} red{f' ({reason[:100]})' if reason else ''}{same}"
        print(f"| {package.name} | {results} | {new:.2f} s | {old:.2f} s | {100 * (new / old - 1):+.1f} % | {said} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
