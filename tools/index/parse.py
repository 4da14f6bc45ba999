"""Indexes files. A few small Python files are parsed here in a thread, everything else in a child process."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

from ledger.children import own_python
from ledger.errors import ToolError
from tools.index.facts import IndexedFile, from_json, unread
from tools.index.languages import PYTHON
from tools.index.python import read_python
from tools.process import REPORT_FD, Command, Finished, run

QUICK_BYTES = 256 * 1024  # most that is parsed in a thread: beyond it a child costs less than holding the GIL
BATCH_FILES = 200
BATCH_BYTES = 8 * 1024 * 1024
TIMEOUT_S = 120.0  # generous, for a busy machine: the child's own limit is on CPU time
BACKGROUND_NICENESS = 10
BOOT = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv[1]); "
    "from tools.index.worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)


class SourceText(NamedTuple):
    """Contents to parse."""

    language: str
    data: bytes


class Parse(Protocol):
    """Returns the facts of each source, in order."""

    async def __call__(self, sources: Sequence[SourceText], *, background: bool = False) -> list[IndexedFile]: ...


async def parse(sources: Sequence[SourceText], *, background: bool = False) -> list[IndexedFile]:
    """Facts of ``sources``, in order. ``background``: not urgent, so the child runs at a low priority.

    Raises ``ChildFailed`` or ``ToolError`` when the child itself fails; a file that crashes it has an ``error``.
    """
    found: dict[int, IndexedFile] = {}
    quick = [n for n, source in enumerate(sources) if source.language == PYTHON]
    if not background and sum(len(sources[n].data) for n in quick) <= QUICK_BYTES:
        read = await asyncio.to_thread(lambda: [read_python(sources[n].data) for n in quick])
        found = {n: facts for n, facts in zip(quick, read, strict=True) if not facts.error}
    left = [n for n in range(len(sources)) if n not in found]
    for batch in _batches(sources, left):
        answers = await _in_child([sources[n] for n in batch], BACKGROUND_NICENESS if background else 0)
        found |= dict(zip(batch, answers, strict=True))
    return [found[n] for n in range(len(sources))]


def _batches(sources: Sequence[SourceText], numbers: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for n in numbers:
        if batch and (len(batch) >= BATCH_FILES or size + len(sources[n].data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(n)
        size += len(sources[n].data)
    if batch:
        yield batch


async def _in_child(sources: Sequence[SourceText], niceness: int) -> list[IndexedFile]:
    found: list[IndexedFile] = []
    while len(found) < len(sources):
        left = sources[len(found) :]
        done = await run(
            Command(
                argv=own_python("-S", "-c", BOOT, json.dumps(_folders()), REPORT_FD, str(niceness)),
                cwd=Path("/"),
                env={"LC_ALL": "C.UTF-8"},
                timeout_s=TIMEOUT_S,
                stdin=b"".join(f"{s.language} {len(s.data)}\n".encode("ascii") + s.data for s in left),
                report=True,
            )
        )
        *lines, _ = done.report.split(b"\n")
        found += [from_json(line) for line in lines]
        if not lines:  # the first file of a fresh child: no other can be the cause
            found.append(unread(_death(done)))
    return found


def _death(done: Finished) -> str:
    """Why the child gave no facts for a file. Raises ``ToolError`` when that is not the file's fault."""
    if done.timed_out or done.signal == signal.SIGXCPU:
        return "parsing it takes too long"
    if done.signal is not None:
        return f"the parser dies of it (signal {done.signal})"
    last = done.output.decode("utf-8", errors="replace").strip().splitlines()[-1:] or ["no message"]
    raise ToolError(
        f"Files cannot be parsed: the child ended with {done.code}: {last[0][:200]}.",
        remedy="Is the installation whole? `pip check` tells.",
    )


@cache
def _folders() -> tuple[str, ...]:
    """``sys.path`` entries of the child for this package and the grammars: it starts without site-packages."""
    ours = Path(__file__).resolve().parents[2]
    found = find_spec("tree_sitter")
    grammars = Path(found.origin).parents[1] if found is not None and found.origin else ours
    return tuple(dict.fromkeys((str(ours), str(grammars))))
