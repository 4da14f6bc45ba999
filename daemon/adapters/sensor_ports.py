"""Ports of sensors, implemented by tools and programs of the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

from ledger.errors import ChildFailed, ProgramMissing
from ledger.places import HostEnv
from ledger.programs import find_program
from sensors.ports import GhAnswer
from tools.git import Git
from tools.index.index import CodeIndex
from tools.index.trees import list_sources
from tools.process import Command, run
from tools.repository import Repository

QUIET = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "GH_PAGER": "cat", "NO_COLOR": "1"}
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")
ANSWER_BYTES = 32 * 1024 * 1024


class Gh:
    """GitHub's command line as an owned child: in a folder without a repository, bounded in time and output.

    ``lookup`` finds the token of a daemon that has one in its environment; else gh uses its own login.
    """

    def __init__(self, *, env: HostEnv, folder: Path, lookup: Callable[[str], str | None], timeout_s: float) -> None:
        self._env = env
        self._folder = folder
        self._lookup = lookup
        self._timeout_s = timeout_s

    async def call(self, *args: str) -> GhAnswer:
        """Raises ``ChildFailed`` where there is no such program that may be run."""
        try:
            program = str(find_program("gh", self._env))
        except ProgramMissing as error:
            if error.refused:
                raise
            raise ChildFailed("there is no gh on the PATH", remedy="https://cli.github.com/ has it.") from error
        token = next(((name, value) for name in TOKENS if (value := self._lookup(name))), None)
        env = {**self._env.variables, **QUIET, **dict([token] if token else [])}
        done = await run(
            Command(
                argv=(program, *args),
                cwd=self._folder,
                env=env,
                timeout_s=self._timeout_s,
                speaks=True,
                cap_bytes=16 * 1024,
                report_cap_bytes=ANSWER_BYTES,
            )
        )
        ended = not (done.timed_out or done.flooded or done.code is None)
        return GhAnswer(code=done.code if ended else None, out=done.report, err=done.output.decode(errors="replace"))


class CommittedNames:
    """Which names exist at HEAD: committed files, and symbols of them that the code index has parsed so far."""

    def __init__(self, *, repository: Repository, index: CodeIndex, git: Git) -> None:
        self._repository = repository
        self._index = index
        self._git = git

    async def known(self, names: Collection[str]) -> frozenset[str]:
        """Those of ``names`` that are a path, the last part or stem of one, or a symbol."""
        head = (await self._repository.head()).commit
        if head is None:
            return frozenset()
        files = await self._repository.files(head)
        ends = {path.rpartition("/")[2] for path in files}
        places = {*files, *ends, *(end.partition(".")[0] for end in ends)}
        found = {name for name in names if name in places}
        left = [name for name in names if name not in found]
        if left:
            here = frozenset((await asyncio.to_thread(list_sources, self._git, head)).values())
            found |= {name for name in left if await self._is_defined(name, here)}
        return frozenset(found)

    async def _is_defined(self, name: str, here: frozenset[str]) -> bool:
        last = name.rpartition(".")[2]
        for key, facts in (await self._index.having(last)).items():
            if key in here and any(s.name == name or s.name.rpartition(".")[2] == last for s in facts.symbols):
                return True
        return False


class RepositoryIgnores:
    """What git ignores, for the watcher."""

    def __init__(self, *, git: Git) -> None:
        self._git = git

    async def ignored_folders(self) -> Collection[str]:
        listed = await self._git.call("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
        return tuple(path.rstrip("/") for path in listed.fields if path.endswith("/"))

    async def ignored_among(self, paths: Collection[str]) -> Collection[str]:
        stdin = "".join(f"./{path}\0" for path in paths).encode("utf-8", errors="surrogateescape")
        # This command takes no literal pathspecs; after "./" nothing is magic.
        said = await self._git.call(
            "check-ignore", "-z", "--stdin", stdin=stdin, ok=(0, 1), extra_env={"GIT_LITERAL_PATHSPECS": "0"}
        )
        return tuple(path.removeprefix("./") for path in said.fields)
