"""OCR: an installed program reads a picture from its standard input, in the sandbox. No picture is written to disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ledger.errors import ChildFailed, ProgramMissing, SandboxError
from ledger.places import HostEnv
from ledger.programs import find_program
from tools.sandbox.tree import SYSTEM
from tools.sandbox.types import Job, Mount, Sandbox

MOST_BYTES = 256 * 1024
TAIL_CHARS = 200
INSTALL = "Install it (Debian: apt install tesseract-ocr), or name another program in your settings."


class SandboxedOcr:
    """``sandbox`` returns the current sandbox, if there is one; ``heavy`` limits concurrent CPU-heavy work."""

    def __init__(
        self,
        *,
        program: str,
        languages: str,
        limit_s: float,
        env: HostEnv,
        sandbox: Callable[[], Sandbox | None],
        heavy: asyncio.Semaphore,
    ) -> None:
        self._program = program
        self._languages = languages
        self._limit_s = limit_s
        self._env = env
        self._sandbox = sandbox
        self._heavy = heavy

    def missing(self) -> tuple[str, str]:
        """Why OCR is unavailable, and the remedy; both empty when it is available. Reads the disk."""
        try:
            self._found()
        except ProgramMissing as error:
            return (error.message, error.remedy) if error.refused else (f"{self._program} is not installed", INSTALL)
        if self._sandbox() is None:
            return "no sandbox holds here", "`ouro doctor` says what is missing."
        return "", ""

    async def read(self, data: bytes) -> tuple[str | None, str]:
        """The text of a picture; or None and the reason."""
        why, sandbox = (await asyncio.to_thread(self.missing))[0], self._sandbox()
        if why or sandbox is None:
            return None, why
        program = await asyncio.to_thread(self._found)
        at_home = any(program.is_relative_to(folder) for folder in SYSTEM)
        job = Job(
            argv=(str(program), "stdin", "stdout", "-l", self._languages),
            cwd=Path("/"),
            mounts=() if at_home else (Mount(source=program, target=program, closed=True),),
            env={"OMP_THREAD_LIMIT": "1"},
            timeout_s=self._limit_s,
            stdin=data,
            speaks=True,
        )
        try:
            async with self._heavy:
                finished = await sandbox.run(job)
        except (SandboxError, ChildFailed) as error:
            return None, str(error)
        if finished.timed_out or finished.flooded:
            return None, f"{self._program} did not come to an end within its bounds"
        if finished.code != 0:
            said = finished.output.decode("utf-8", errors="replace").strip()[-TAIL_CHARS:]
            return None, f"{self._program} failed: {' '.join(said.split()) or 'without a word'}"
        return finished.report[:MOST_BYTES].decode("utf-8", errors="replace"), ""

    def _found(self) -> Path:
        """The program's path, links resolved. Raises ``ProgramMissing``."""
        return find_program(self._program, self._env).resolve()
