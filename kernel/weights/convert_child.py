"""Child process of the converter: writes a converted folder, which the engine maps into memory.

A process of its own, because dequantising holds the interpreter lock for long stretches and leaves memory allocated.
Reports to its parent in lines of JSON: ``{"done": slices, "total": slices}``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from pydantic import BaseModel

from kernel.weights import converted_file as writing
from kernel.weights import store
from kernel.weights.checkpoint import Checkpoint, check_tensors
from kernel.weights.gguf_checkpoint import GgufCheckpoint
from kernel.weights.layout import list_parameters
from kernel.weights.published_folder import PublishedFolder
from kernel.weights.store import check_space, sum_of
from kernel.weights.tokenizer_file import check_tokenizer
from ledger.errors import OuroError

_AT_THE_DISK = "Free disk space if the disk is full; else check the permissions there."


class ConversionJob(BaseModel):
    """The parent's request. ``sums``: sha256 of each source file; None where it is not known yet."""

    source: Path  # a GGUF file, or a published folder
    sums: dict[Path, str | None]
    folder: Path  # exists and is empty
    form: store.Form
    tied_head: bool
    workers: int


def main(argument: str) -> int:
    """Entry point of the child; ``argument`` is a ``ConversionJob`` as JSON. Returns the exit status."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    job = ConversionJob.model_validate_json(argument)
    try:
        run_job(job)
    except (OuroError, OSError) as error:
        failure = (error.message, error.remedy) if isinstance(error, OuroError) else (f"{error}.", _AT_THE_DISK)
        print(json.dumps(failure), file=sys.stderr)  # the parent reads the last line
        return 1
    return 0


def end_with_parent() -> None:
    """Exits when the parent does: it holds the other end of stdin."""
    while os.read(0, 1):
        pass
    os._exit(1)


def open_checkpoint(source: Path, *, tied_head: bool) -> Checkpoint:
    """A published folder or a GGUF file; reads the headers only. Raises ``OuroError`` for anything else."""
    return PublishedFolder(source) if source.is_dir() else GgufCheckpoint(source, tied_head=tied_head)


def run_job(job: ConversionJob) -> None:
    """Fills the folder; the stamp comes last. Raises ``OuroError`` for weights that cannot be converted."""
    sums = {path.name: _check_sum(path, expected) for path, expected in job.sums.items() if expected}
    checkpoint = open_checkpoint(job.source, tied_head=job.tied_head)
    check_tensors(checkpoint.config, checkpoint.shapes)
    plan = writing.plan_file(list_parameters(checkpoint.config, job.form))
    check_space(job.folder, writing.count_bytes(plan))
    (job.folder / "config.json").write_text(checkpoint.config.model_dump_json(indent=1), encoding="utf-8")
    checkpoint.write_tokenizer(job.folder)
    check_tokenizer(job.folder, checkpoint.config.vocabulary)
    writing.write_tensors(checkpoint, plan, job.folder, workers=job.workers, on_progress=_report_progress)
    sums |= {path.name: sum_of(path) for path, expected in job.sums.items() if not expected}
    stamp = {"sums": sums, "converter": store.CONVERTER_VERSION, "form": job.form}
    (job.folder / store.STAMP).write_text(json.dumps(stamp), encoding="utf-8")


def _report_progress(done: int, total: int) -> None:
    print(json.dumps({"done": done, "total": total}), flush=True)


def _check_sum(path: Path, expected: str) -> str:
    found = sum_of(path)
    if found != expected:
        raise OuroError(f"{path.name} is not the file that its publisher released: its sha256 is {found[:12]}....")
    return found
