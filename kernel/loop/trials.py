"""The trial of forms, once per machine: its result is kept beside the weights, so that a busy hour does not choose."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from kernel.loop.forms import Arithmetic, Trial, run_trials
from kernel.loop.products import state_levels
from ledger.parsers.json import read_json

FILE = "trials.json"


def machine_trials(
    folder: Path, columns: int, rows: int, threads: int, log: Callable[[str], None]
) -> dict[Arithmetic, Trial]:
    """Known ones are read; others are made and written. A file that cannot be read is made afresh."""
    import torch

    made_by = f"torch {torch.__version__}, numba {version('numba')}"
    able = f"{torch.backends.cpu.get_cpu_capability()}, {state_levels()} levels"  # names say little
    key = f"{_processor()}, {able} / {made_by} / {threads} threads / {rows}x{columns}"
    path = folder / FILE
    known: dict[str, dict[Arithmetic, dict[str, float]]] = {}
    with suppress(OSError, ValueError):
        known = read_json(path.read_text(encoding="utf-8"))
    if key in known:
        return {name: {int(n): ms for n, ms in trial.items()} for name, trial in known[key].items()}
    log(f"trying which arithmetic is fastest here ({rows} by {columns})")
    found = run_trials(columns, rows)
    known[key] = {name: {str(n): round(ms, 3) for n, ms in trial.items()} for name, trial in found.items()}
    with suppress(OSError):  # a read-only folder costs a trial at every load, nothing else
        path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return found


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown processor"
