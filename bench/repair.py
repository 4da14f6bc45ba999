"""From a red commit to the commit that repairs it, for each default model, over bugs of the sample project.

Run from the top of the repository: ``python -m bench.repair [--bugs 1,2,4] [--model NAME ...]``. Every repair is a fresh
repository and a fresh `ouro fix`, so loading the model is part of it; the weights must be there (`ouro model pull`).
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from bench.common import World, machine, world
from daemon.evaluation.trial import entries, usage
from daemon.settings.config import models_folder
from kernel.policy import load_policy
from ledger.clock import unstamp
from sample.build import bugs


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One attempt. Seconds: from the red commit to the repair (or to the end), and what of it the model took."""

    repaired: bool
    seconds: float
    model_s: float
    infills: int
    end: str


def green(at: World) -> bool:
    """The judge is not ours: the sample's own suite, run by hand on what is committed."""
    run = [str(at.repo / ".venv/bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    clean = subprocess.run(["git", "status", "--porcelain"], cwd=at.repo, capture_output=True, check=True).stdout == b""
    return clean and subprocess.run(run, cwd=at.repo, env=at.environ, capture_output=True, check=False).returncode == 0


def repair(number: int, model: str, quantise: str) -> Repair:
    """Plant the bug in a fresh repository, and let `ouro fix` work on it."""
    cache = models_folder().parent.parent
    with world(
        cache=cache, kernel__provider="local", kernel__model=model, kernel__local__quantise=quantise
    ) as at:  # fmt: skip
        at.break_it(number)
        began = time.time()
        done = at.ouro("--json", "fix")
        ended = time.time()
        payloads = list(entries(done.stdout.encode()))
        used = usage(done.stdout.encode())
        commits = [unstamp(e["at"]).timestamp() for e, p in payloads if p.get("event") == "committed"]
        reasons = [str(p["reason"]) for _, p in payloads if p.get("event") == "terminal" and p["to"] != "COMPLETE"]
        return Repair(
            repaired=bool(commits) and done.returncode == 0 and green(at),
            seconds=(commits[-1] if commits else ended) - began,
            model_s=used["model_s"],
            infills=used["infills"],
            end=reasons[-1][:80] if reasons else done.stderr.strip()[-80:],
        )


def summary(model: str, tried: Sequence[Repair]) -> str:
    good = [r.seconds for r in tried if r.repaired]
    middle = f"median {statistics.median(good):.1f} s ({min(good):.1f} to {max(good):.1f})" if good else "no median"
    return f"{model}: {len(good)} of {len(tried)} repaired, {middle} from the red commit to the repair"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bugs", default="", help="numbers, as 1,2,4; default: all")
    parser.add_argument("--model", action="append", help="may be repeated; default: every local model")
    parser.add_argument("--quantise", action="append", help="form of the weights, may be repeated; default: auto")
    chosen = parser.parse_args()
    titles = {int(bug["number"]): f"{bug['number']}, {bug['kind']}" for bug in bugs()}
    numbers = [int(word) for word in chosen.bugs.split(",") if word] or list(titles)
    models = chosen.model or list(load_policy().models)
    print(f"{machine()}\n\n| bug | model | outcome | to the repair | of it the model | infills | load |", flush=True)
    print("|---|---|---|---:|---:|---:|---:|", flush=True)
    lines = []
    for model, quantise in product(models, chosen.quantise or ["auto"]):
        tried = []
        for number in numbers:
            done = repair(number, model, quantise)
            tried.append(done)
            outcome = "repaired" if done.repaired else f"not: {done.end}"
            print(
                f"| {titles[number]} | {model} {quantise} | {outcome} | {done.seconds:.1f} s | {done.model_s:.1f} s | "
                f"{done.infills} | {os.getloadavg()[0]:.1f} |",
                flush=True,
            )
        lines.append(summary(f"{model} {quantise}", tried))
    print("\n" + "\n\n".join(lines))


if __name__ == "__main__":
    main()
