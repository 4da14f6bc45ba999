"""All of it: ``python -m bench.kernel``. What is measured, and how: ``bench/kernel/__init__.py``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from bench.kernel.bounds import bounds
from bench.kernel.contestants import Contestant, contestants
from bench.kernel.figures import ratios, summary
from bench.kernel.machine import machine
from bench.kernel.published import file_of
from bench.kernel.report import markdown
from bench.kernel.run import run, say
from bench.kernel.tune import MANY, SOLO, tuned
from bench.kernel.workload import LENGTHS

MODELS = ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")
PARTS = ("prefill", "decode", "infill", "again")
HOME = Path.home() / ".cache"


def arguments() -> Namespace:
    parser = argparse.ArgumentParser(prog="bench.kernel", description=__doc__)
    parser.add_argument("--llama-python", default="", help="interpreter that has xllamacpp")
    parser.add_argument("--llama-server", type=Path, default=None, help="llama.cpp's own, built for this machine")
    parser.add_argument("--models", type=Path, default=HOME / "ouroboros" / "models", help="folder of the GGUF files")
    parser.add_argument("--cache", type=Path, default=HOME / "ouroboros-bench", help="for the rivals' weights")
    parser.add_argument("--model", action="append", choices=MODELS, default=[], help="both when none is named")
    parser.add_argument("--only", action="append", default=[], help="contestants by pattern: 'ours/*', llama.cpp")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--lengths", nargs="+", type=int, default=list(LENGTHS), help="prompt tokens")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quiet-below", type=float, default=None, help="wait until fewer cores are busy")
    parser.add_argument("--disturbed", type=float, default=0.2, help="cores that others may use in a round")
    parser.add_argument("--tuned", type=Path, default=None, help="llama.cpp's settings from an earlier --out")
    parser.add_argument("--no-tune", action="store_true", help="llama.cpp with plain settings")
    parser.add_argument("--gigabytes", type=float, default=1.5, help="read to measure the bandwidth")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for one child")
    parser.add_argument("--out", type=Path, default=None, help="JSON, written anew after every child")
    options = parser.parse_args()
    options.model = options.model or list(MODELS)
    options.only = options.only or ["*"]
    return options


class Bench:
    def __init__(self, options: Namespace) -> None:
        self._options = options
        self._who = contestants(options)
        known = json.loads(options.tuned.read_text(encoding="utf-8"))["models"] if options.tuned else {}
        self._known = {model: part.get("tuned", {}) for model, part in known.items()}
        self.found: dict[str, Any] = {
            "machine": machine(),
            "options": {k: str(v) for k, v in vars(options).items()},
            "models": {},
        }

    def measure(self) -> None:
        options = self._options
        self.found["limits"] = self._limits()
        for model in options.model:
            part: dict[str, Any] = {"runs": [], "tuned": {}, "summaries": {}, "ratios": {}}
            self.found["models"][model] = part
            self._prepare(model)
            for contestant in self._who:
                if contestant.is_llama:
                    part["tuned"][contestant.name] = self._tuned(contestant, model)
                    self.save()
            for number in range(1, options.rounds + 1):
                for contestant in self._who:
                    self._round(contestant, model, part, number)
        self._bound()

    def _limits(self) -> dict[str, Any]:
        return self._run("limits", {"threads": self._options.threads, "gigabytes": self._options.gigabytes})

    def _bound(self) -> None:
        """The limits once more: of two looks, hours apart, the better one counts."""
        first, last = self.found["limits"], self._limits()
        if "error" in first or "error" in last:
            return
        for name in ("read_gb_s", "int8_tera", "fp32_tera", "bf16_tera"):
            first[name] = max(first[name], last[name])
        for model, part in self.found["models"].items():
            part["bounds"] = bounds(file_of(self._options.models, model), first)

    def _prepare(self, model: str) -> None:
        """Conversions and trials, outside of what is measured; files are in memory afterwards.

        Ours twice: the trial of the first start takes matrices of a usual size, that of the second the model's own.
        """
        if any(who.module == "child_transformers" for who in self._who):
            self._run("published", self._who[-1].job(self._options, model))
        for who in self._who:
            for _ in range(2 if who.module == "child_ours" else 0):
                self._run("child_ours", who.job(self._options, model, parts=[], mark="0"))

    def _tuned(self, who: Contestant, model: str) -> dict[str, Any]:
        if who.name in self._known.get(model, {}):
            known: dict[str, Any] = self._known[model][who.name]
            return known
        if self._options.no_tune:
            return {"solo": SOLO, "many": MANY}
        wanted = {"solo": ["prefill", "decode"], "many": ["infill"]}

        def measure(kind: str, setting: dict[str, Any]) -> dict[str, Any]:
            fields = {"lengths": [512, 2048], "decodes": 1, "mark": "0", "parts": wanted[kind], kind: setting}
            return self._run(who.module, who.job(self._options, model, **fields), who.python)

        return tuned(measure, say)

    def _round(self, who: Contestant, model: str, part: dict[str, Any], number: int) -> None:
        chosen = part["tuned"].get(who.name, {})
        job = who.job(
            self._options,
            model,
            parts=self._options.parts,
            mark=str(number),
            **{kind: chosen[kind] for kind in ("solo", "many") if kind in chosen},
        )
        result = self._run(who.module, job, who.python)
        part["runs"].append({"contestant": who.name, "round": number, **result})
        runs = [run for run in part["runs"] if run["contestant"] == who.name]
        part["summaries"][who.name] = summary(runs, self._options.disturbed)
        part["ratios"] = ratios(part["summaries"])
        self.save()

    def save(self) -> None:
        """After every child: a run that is stopped keeps what it has."""
        if self._options.out:
            self._options.out.write_text(json.dumps(self.found, indent=1), encoding="utf-8")

    def _run(self, module: str, job: dict[str, Any], python: str = sys.executable) -> dict[str, Any]:
        say(f"{module} {job.get('model', '')} {job.get('settings', job.get('form', ''))} {job.get('parts', '')}")
        options = self._options
        found = run(module, job, python=python, timeout_s=options.timeout, calm=options.quiet_below)
        watch = found["watch"]
        say(
            f"  {watch['seconds']:.0f} s, load {watch['load_before']:.1f} to {watch['load_after']:.1f}, others "
            f"{watch['others_cores']:.2f} cores{'; FAILED ' + found['error'][-300:] if 'error' in found else ''}"
        )
        return found


def stopped(*_: object) -> None:
    """Leaves no child behind, and does not end without a word: hours may be lost."""
    say("stopped by SIGTERM from outside; --out has what was measured until now")
    sys.exit(143)


def main() -> None:
    signal.signal(signal.SIGTERM, stopped)
    options = arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    bench.measure()
    print(markdown(bench.found))
    bench.save()
    if not options.out:
        print(json.dumps(bench.found))


if __name__ == "__main__":
    main()
