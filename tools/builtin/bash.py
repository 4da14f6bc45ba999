"""bash: a shell command on the op's files, in the sandbox in which tests run.

The policy checks the command before it runs. Its changes are checked afterwards like every edit: see
:mod:`tools.write_back`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field

from ledger.errors import ToolError
from ledger.tasks import run_to_completion
from ledger.vocabulary import Verdict
from tools.builtin.settings import BuiltinSettings
from tools.manifest import Arguments, Call, Tool
from tools.output import cap
from tools.process import Finished
from tools.sandbox.tree import SEARCH_PATH
from tools.testing.runner import TestRunner
from tools.write_back import Aftermath, Bounds, Settled

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


SHOWN_PATHS = 20
OUTPUTS = "said"  # folder in the workspace, for full outputs


class BashArguments(Arguments):
    """Arguments of bash."""

    command: str = Field(min_length=1, max_length=16_384, description="what bash runs, from the top of the repository")


class Bash(Tool[BashArguments]):
    """Exit code, changed files and output. ``shell``: path of bash; ``result_bytes``: maximum size of the result."""

    name = "bash"
    description = (
        "Run a shell command on the files as you have edited them: no network, no git history, nothing outside. "
        "Files that it changes count as your edits; read a file before a command changes it."
    )
    writes = True
    runs_tests = True
    model = BashArguments

    def __init__(self, *, shell: str | None, settings: BuiltinSettings, result_bytes: int) -> None:
        self._shell = shell
        self._settings = settings
        self._room = result_bytes

    @classmethod
    def build(cls, parts: ToolParts) -> Self:
        shell = parts.find_program("bash", path=SEARCH_PATH)
        return cls(shell=shell, settings=parts.settings, result_bytes=parts.tools.result_bytes)

    def paths(self, arguments: BashArguments) -> tuple[str, ...]:
        return ()

    def command(self, arguments: BashArguments) -> str:
        return arguments.command

    async def run(self, arguments: BashArguments, call: Call) -> str:
        runner, context = call.context.runner, call.context
        if runner is None:
            why = context.runner_problem or "there is no sandbox for them."
            raise ToolError(f"Commands cannot be run here: {why}")
        if self._shell is None:
            raise ToolError("Commands cannot be run here: bash is not installed.")
        workspace = context.workspace
        async with runner.heavy:
            await asyncio.to_thread(runner.prepare, workspace)
            aftermath = await asyncio.to_thread(self._prepare_aftermath, runner, call)
            try:
                with _spool(workspace.folder / OUTPUTS) as (file, spool):
                    finished, seen = await runner.command(
                        workspace,
                        (self._shell, "--noprofile", "--norc", "-c", arguments.command),
                        limit_s=self._settings.command_timeout_s,
                        outputs=file.parent,
                        spool=spool,
                    )
            finally:  # also after an error: no unchecked change may remain
                settled = await run_to_completion(asyncio.to_thread(aftermath.settle))
        context.written |= settled.kept.keys()
        call.refused.extend(settled.refused.values())
        return self._report(finished, settled, file, seen / file.name)

    def _prepare_aftermath(self, runner: TestRunner, call: Call) -> Aftermath:
        context, settings = call.context, self._settings
        return Aftermath(
            context.workspace,
            judged=call.judged,
            known=lambda path: path in context.reads or path in context.written,
            written=context.written,
            mounts=runner.mounted(context.workspace),
            bounds=Bounds(files=settings.command_files, size=settings.command_kb * 1024),
        )

    def _report(self, finished: Finished, settled: Settled, file: Path, seen: Path) -> str:
        """Exit status and changes first, then the output: the middle of a long result is left out."""
        rows = [_describe_end(finished, self._settings.command_timeout_s), *_changes(settled)]
        head = "\n".join(rows)
        room = max(256, self._room - len(head.encode(errors="replace")) - 200)
        text = finished.output.decode("utf-8", errors="replace")
        if len(text.encode()) <= room and not finished.cut_bytes:
            file.unlink()
            return f"{head}\n{text}" if text else f"{head}\n(no output)"
        shown = cap(text, room, rest=f"they are in {seen}")
        return f"{head}\nfull output ({file.stat().st_size} bytes): {seen}\n{shown}"


def _describe_end(finished: Finished, limit_s: float) -> str:
    took = f"after {finished.duration_ms / 1000:.1f} s"
    if finished.timed_out:
        return f"killed {took}: the time limit is {limit_s:g} s"
    if finished.flooded:
        return f"killed {took}: it wrote too much"
    if finished.code is None:
        return f"ended by signal {finished.signal} {took}"
    return f"exit code {finished.code} {took}"


def _changes(settled: Settled) -> list[str]:
    rows = []
    if settled.kept:
        rows.append("changed: " + _few([f"{path} ({what})" for path, what in settled.kept.items()]))
    if settled.modes:
        rows.append("file modes were restored: " + _few([_plain(path) for path in settled.modes]))
    by_rule: dict[str, list[tuple[str, Verdict]]] = {}
    for path, verdict in settled.refused.items():
        by_rule.setdefault(verdict.rule, []).append((path, verdict))
    for rule, found in by_rule.items():
        names = _few([_plain(path) for path, _ in found])
        rows.append(f"restored, refused by {rule}: {names}. {found[0][1].reason}")
    return rows


def _few(names: list[str]) -> str:
    more = len(names) - SHOWN_PATHS
    return ", ".join(names[:SHOWN_PATHS]) + (f" and {more} more" if more > 0 else "")


def _plain(path: str) -> str:
    text = os.fsencode(path).decode("utf-8", errors="backslashreplace")
    return text if text.isprintable() else repr(text)


@contextlib.contextmanager
def _spool(folder: Path) -> Iterator[tuple[Path, int]]:
    """A new file in ``folder`` for the full output of a command, and its descriptor."""
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / f"{len(list(folder.iterdir())) + 1}-{os.urandom(3).hex()}.txt"
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield file, fd
    finally:
        os.close(fd)
