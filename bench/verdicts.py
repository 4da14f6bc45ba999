"""What it costs to watch a verdict, on real packages: `python -m bench.verdicts FOLDER OTHER [--rounds 5]`.

FOLDER holds unpacked source distributions with their tests. OTHER is another checkout of this repository; the suites are
run whole by its runner and by this one, in turn, behind the sandbox. The interpreter is the one that runs this, so the
packages' needs have to be installed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
CHILD = """
import asyncio, json, sys
from pathlib import Path
from tests.tools.testing.projects import make_project

async def main(base, repo, rounds, roots):
    project = await make_project(base, {}, Path(sys.prefix), "auto", import_roots=roots, suite_s=300.0)
    try:
        async with project.runner().several(project.ws) as tests:
            for _ in range(rounds):
                await tests.reset()
                run = await tests.run(None)
                print(json.dumps([run.status.value, run.reason, len(run.results), len(run.red), run.duration_ms]))
    finally:
        await project.workspaces.release(project.ws)
        await project.workspaces.close()

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])))
"""


def runs(tree: Path, package: Path, rounds: int) -> list[tuple[str, str, int, int, int]]:
    """Rows of one process: status, reason, results, red ones, milliseconds. The first only warms the disk's memory."""
    with tempfile.TemporaryDirectory(prefix="ouro-bench-") as folder:
        base = Path(folder)
        subprocess.run(["cp", "-r", str(package), str(base / "repo")], check=True)
        git = ["git", "-C", str(base / "repo"), "-c", "user.name=x", "-c", "user.email=x@example.org"]
        for words in (["init", "-q"], ["add", "-Af"], ["commit", "-qm", "all"]):
            subprocess.run([*git, *words], check=True, capture_output=True)
        roots = ["src"] if (package / "src").is_dir() else ["."]
        argv = [sys.executable, "-c", CHILD, str(base), str(base / "repo"), str(rounds + 1), json.dumps(roots)]
        env = {**os.environ, "PYTHONPATH": str(tree)}
        done = subprocess.run(argv, cwd=tree, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{package.name}: {done.stderr[-600:]}")
        rows = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    return rows[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    print("| package | tests | watched | without | more | verdict | |\n|---|---|---|---|---|---|---|")
    for package in sorted(path for path in chosen.folder.iterdir() if path.is_dir()):
        found: dict[Path, list[tuple[str, str, int, int, int]]] = {HERE: [], chosen.other: []}
        for _ in range(chosen.rounds):
            for tree, rows in found.items():
                rows += runs(tree, package, 1)
        new, old = (statistics.median(row[4] for row in rows) for rows in found.values())
        least_new, least_old = (min(row[4] for row in rows) for rows in found.values())
        last, before = (rows[-1] for rows in found.values())
        same = "as before" if last[:1] + last[2:4] == before[:1] + before[2:4] else f"before: {before[0]}, {before[3]} red"
        more = f"{100 * (new / old - 1):+.1f} % ({100 * (least_new / least_old - 1):+.1f} % of the quickest)"
        print(f"| {package.name} | {last[2]} | {new:.0f} ms | {old:.0f} ms | {more} | {last[0]}, {last[3]} red {last[1][:90]} | {same} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
