"""Converts published weights to the form that the engine loads, once, in a child process of our own interpreter."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kernel.cancel import CancelToken
from kernel.weights import store
from kernel.weights.convert_child import ConversionJob
from kernel.weights.registry import Weights
from kernel.weights.sources import Progress
from ledger.children import PIPE, own_python, start
from ledger.errors import OuroError, ProviderUnavailable
from ledger.parsers.json import read_json

# Isolated (-I): neither the current folder nor PYTHONPATH can shadow our modules. Signals to the whole process group
# (Ctrl-C, a stopped service) are handled by the parent, which ends the child and reports the stop.
_CHILD = """import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.path.insert(0, sys.argv[1])
from kernel.weights.convert_child import main
sys.exit(main(sys.argv[2]))"""
_MAKING = ".making-"
_OUT_OF_MEMORY = "Free some memory: the system kills processes that exceed it."


def convert_weights(
    name: str, weights: Weights, *, form: store.Form, models_dir: Path, progress: Progress, cancel: CancelToken
) -> Path:
    """The converted folder, created if it does not exist; blocking. Raises ``Cancelled`` soon after ``cancel`` is set.

    The folder appears complete or not at all; concurrent conversions of the same weights do not interfere. Raises
    ``ProviderUnavailable`` (kind ``weights``) without weights, ``OuroError`` when they cannot be converted or disk
    space is short.
    """
    folder = store.converted_folder(models_dir, name, weights, form)
    if store.is_converted(folder):
        return folder
    _check_published(name, weights, models_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        _converter_lock(folder.parent),
        tempfile.TemporaryDirectory(prefix=_MAKING, dir=folder.parent, ignore_cleanup_errors=True) as making,
    ):
        made = Path(making) / folder.name
        made.mkdir()
        job = ConversionJob(
            source=store.published_path(models_dir, weights),
            sums={
                store.file_path(models_dir, weights, file): file.sha256
                for file in store.known_files(models_dir, weights)
            },
            folder=made,
            form=form,
            tied_head=weights.tied_head,
            workers=len(os.sched_getaffinity(0)),
        )
        _run_child(job, name, weights, Path(making), progress, cancel)
        try:
            made.rename(folder)
        except OSError as error:
            if not store.is_converted(folder):  # another process finished first with the same result
                raise OuroError(f"The converted weights cannot be put in place: {error}.") from error
    return folder


def _check_published(name: str, weights: Weights, models_dir: Path) -> None:
    if store.is_published(models_dir, weights):
        return
    if weights.own:
        problem, remedy = f"The weights at {weights.own} have changed or are gone.", "Start again, or name other ones."
    else:
        problem, remedy = f"The weights of {name} are not on this machine.", f"Run `ouro model pull {name}`."
    raise ProviderUnavailable(problem, provider="local", kind="weights", remedy=remedy)


def _run_child(
    job: ConversionJob, name: str, weights: Weights, scratch: Path, progress: Progress, cancel: CancelToken
) -> None:
    package_root = Path(__file__).resolve().parents[2]
    argv = own_python("-c", _CHILD, str(package_root), job.model_dump_json())
    with (
        (scratch / "errors").open("w+") as errors,
        # The child exits when its stdin closes, so it does not outlive this process.
        start(argv, cwd=scratch, env=None, stdin=PIPE, stdout=PIPE, stderr=errors, own_group=False) as child,
        cancel.stopping(child.kill),
    ):
        finished = False
        try:
            for line in child.stdout or ():
                step = read_json(line)
                progress(step["done"], step["total"], f"converting {name}")
            finished = child.wait() == 0
        finally:
            if not finished:
                child.kill()
        cancel.check()
        if not finished:
            errors.seek(0)
            problem, remedy = _failure_reason(errors.read(), child.returncode)
            again = "Check the file." if weights.own else f"Run `ouro model pull {name}`: it checks the file."
            raise OuroError(
                f"The weights of {name} could not be converted: {problem}",
                remedy=remedy or again,
            )


def _failure_reason(errors: str, status: int) -> tuple[str, str]:
    """Problem and remedy from the child's output: its last line, or the end of a traceback."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"its process was killed by {name}.", _OUT_OF_MEMORY if status == -signal.SIGKILL else "Try again."
    last = (errors.strip().splitlines() or ["no message"])[-1]
    try:
        problem, remedy = read_json(last)
    except (ValueError, TypeError):
        return last, ""
    return str(problem), str(remedy)


@contextmanager
def _converter_lock(parent: Path) -> Iterator[None]:
    """Shared lock of all converters. A process that gets it exclusively first removes leftovers.

    Leftovers are the half-made folders of killed processes and the folders of older converters.
    """
    lock = os.open(parent / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for folder in (*parent.glob(f"{_MAKING}*"), *store.outdated_folders(parent)):
                shutil.rmtree(folder, ignore_errors=True)
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)
