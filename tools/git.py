"""Runs git, for all callers: explicit folders, hooks and unsafe configuration off, no network, bounded time.

Every call names the git folder and the work tree, so a ``.git`` file that candidate code rewrote is never followed.
``Git`` blocks: on the event loop use :meth:`Git.call` (or ``asyncio.to_thread``). To
walk through history, :meth:`Git.opened` gives a GitPython repository with the same program, options and environment.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.children import MOST_BYTES, ChildResult, TooMuch, ask
from ledger.errors import GitFailed, ProgramMissing
from ledger.places import HostEnv, Places
from ledger.programs import find_program
from tools.drivers import LIST_COMMAND, Drivers, Overrides

if TYPE_CHECKING:
    from git import Repo

_SETTINGS = """
    core.hooksPath=/dev/null
    core.fsmonitor=false
    core.quotePath=false
    core.askPass=
    core.alternateRefsCommand=
    credential.helper=
    diff.external=
    diff.ignoreSubmodules=all
    diff.submodule=short
    status.submoduleSummary=false
    submodule.recurse=false
    fetch.recurseSubmodules=false
    uploadpack.packObjectsHook=
    commit.gpgSign=false
    protocol.ext.allow=never
    gc.auto=0
    maintenance.auto=false
    advice.detachedHead=false
    log.showSignature=false
    log.mailmap=false
    diff.orderFile=/dev/null
    diff.noprefix=false
    diff.mnemonicPrefix=false
    """
QUIET = tuple(word for setting in _SETTINGS.split() for word in ("-c", setting))
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    # Nothing is fetched, not even a missing object of a partial clone: the repository's settings could name any program
    # for that. A list without an existing protocol overrides every setting.
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_SSH_COMMAND": "false",
    "GIT_PROXY_COMMAND": "",
    # Paths are literal, even if they begin with a character of the pathspec syntax.
    "GIT_LITERAL_PATHSPECS": "1",
    # No replaced objects and no grafts: no file can have this name.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null/none",
    # No prompts, editors or pagers.
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "LC_ALL": "C.UTF-8",
}
MOST_SETTINGS = 4 * 1024 * 1024
"""Limit of git's list of all settings in bytes; included files may be in the tree and of any size."""
SECRET_ERRORS = frozenset({"blame"})
"""Commands whose error text is dropped: it may quote files that settings name (``blame.ignoreRevsFile``)."""


@dataclass(frozen=True, slots=True)
class GitResult:
    """Exit code and both streams of one call."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output without the trailing newline."""
        return self.out.decode("utf-8", errors="surrogateescape").rstrip("\n")

    @property
    def fields(self) -> tuple[str, ...]:
        """Standard output of a ``-z`` command, split at NUL."""
        return tuple(f for f in self.out.decode("utf-8", errors="surrogateescape").split("\0") if f)


DAMAGED = "`git fsck` says what is wrong; fetch it from another clone, or restore a backup."
_DAMAGED = re.compile(
    r"inflate|corrupt|loose object|not a tree object|bad (?:object|tree)|unable to (?:read|stream)|missing"
)


class Git:
    """Runs git commands in one repository; raises ``GitFailed`` on an unexpected exit code."""

    def __init__(self, places: Places, env: HostEnv, *, timeout_s: float = 60.0) -> None:
        self.places = places
        self._timeout_s = timeout_s
        self._drivers = Drivers(git_dir=places.git_dir, common_dir=places.common_dir)
        self._host = env
        self._program = ""
        self._env = {**env.variables, **ENVIRONMENT}

    @property
    def program(self) -> str:
        """The absolute path of git. Raises ``GitFailed`` when there is no trusted one."""
        if not self._program:
            try:
                self._program = str(find_program("git", self._host))
            except ProgramMissing as error:
                raise GitFailed(
                    f"git cannot be started: {error.message}", argv=("git",), code=-1, stderr="", remedy=error.remedy
                ) from error
        return self._program

    @contextmanager
    def opened(self) -> Iterator[Repo]:
        """The repository as a GitPython object; blocks. Its children end with the ``with`` block or at the timeout."""
        from tools.git_python import Caller, repo_of

        own = self._overrides()
        prefix, tree = self._prefix(own, self.places.repo), self.places.repo
        with (
            Caller(prefix=prefix, env={**self._env, **own.env}, cwd=tree, timeout_s=self._timeout_s) as caller,
            repo_of(self.places.git_dir, caller) as repo,
        ):
            yield repo

    def run(
        self,
        *args: str,
        stdin: bytes | None = None,
        index: Path | None = None,
        work_tree: Path | None = None,
        ok: tuple[int, ...] = (0,),
        extra_env: Mapping[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> GitResult:
        """Run ``git ARGS``. ``index`` is a private index file; ``work_tree`` defaults to the owner's checkout.

        git is killed when it writes more than ``most_bytes``.
        """
        tree = work_tree or self.places.repo
        own = self._overrides()
        argv = (*self._prefix(own, tree), *args)
        env = {**self._env, **own.env, **(extra_env or {})}
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        result = self._start(argv, tree, env, stdin, most_bytes)
        if result.code not in ok:
            if args[0] in SECRET_ERRORS:
                result = replace(result, err="")
            last = result.err.strip().splitlines()[-1:] or ["no message"]
            raise GitFailed(
                f"`{_verb(argv)}` ended with {result.code}: {last[0]}.",
                argv=argv,
                code=result.code,
                stderr=result.err,
                remedy=DAMAGED if _DAMAGED.search(result.err) else "",
            )
        return result

    def refused_programs(self) -> tuple[str, ...]:
        """Settings of the repository that name a program which the owner's own settings do not name: it is not run."""
        return self._overrides().refused

    def _prefix(self, own: Overrides, tree: Path) -> tuple[str, ...]:
        """The beginning of every command line."""
        return (self.program, *QUIET, *own.argv, f"--git-dir={self.places.git_dir}", f"--work-tree={tree}")

    def _overrides(self) -> Overrides:
        repo = self.places.repo
        argv = (self.program, f"--git-dir={self.places.git_dir}", f"--work-tree={repo}", *LIST_COMMAND)
        return self._drivers.overrides(lambda: self._start(argv, repo, self._env, most_bytes=MOST_SETTINGS).out)

    def _start(
        self,
        argv: tuple[str, ...],
        tree: Path,
        env: Mapping[str, str],
        stdin: bytes | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> GitResult:
        try:
            done = ask(argv, cwd=tree, env=env, timeout_s=self._timeout_s, given=stdin or b"", most_bytes=most_bytes)
        except TimeoutError as error:
            raise GitFailed(
                f"`{_verb(argv)}` did not end within {self._timeout_s:g} s.",
                argv=argv,
                code=-1,
                stderr="",
                remedy="Look for a stuck filter driver or a slow disk.",
            ) from error
        except TooMuch as error:
            raise GitFailed(
                f"`{_verb(argv)}` was ended: {error.strerror}.",
                argv=argv,
                code=-1,
                stderr="",
                remedy="Look for a huge file, or for a commit with very many files.",
            ) from error
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise GitFailed(
                f"git cannot be started in {tree}: {why}.",
                argv=argv,
                code=-1,
                stderr=str(error),
                remedy="Check that git is installed and the folder exists.",
            ) from error
        return GitResult(done.code, done.out, done.err.decode("utf-8", errors="replace"))

    async def call(
        self,
        *args: str,
        stdin: bytes | None = None,
        index: Path | None = None,
        work_tree: Path | None = None,
        ok: tuple[int, ...] = (0,),
        extra_env: Mapping[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> GitResult:
        """:meth:`run` in a thread."""
        return await asyncio.to_thread(
            self.run,
            *args,
            stdin=stdin,
            index=index,
            work_tree=work_tree,
            ok=ok,
            extra_env=extra_env,
            most_bytes=most_bytes,
        )


def ask_git(
    host: HostEnv, *args: str, cwd: Path, timeout_s: float, extra_env: Mapping[str, str] | None = None
) -> ChildResult:
    """Run git where no repository is known yet, with the same options and environment as :class:`Git`.

    Raises ``ProgramMissing``, ``TimeoutError`` and ``OSError``.
    """
    env = {**host.variables, **ENVIRONMENT, **(extra_env or {})}
    return ask((str(find_program("git", host)), *QUIET, *args), cwd=cwd, env=env, timeout_s=timeout_s)


def size_in_tree(column: str, path: str) -> int:
    """The size of a file, from its ``column`` in ``ls-tree -l``. Raises ``GitFailed`` when its object is missing."""
    if column.isdecimal():
        return int(column)
    raise GitFailed(
        f"git cannot read {path!r}: its object is damaged or gone.",
        argv=("git", "ls-tree"),
        code=0,
        stderr="",
        remedy=DAMAGED,
    )


def _verb(argv: tuple[str, ...]) -> str:
    """The command without settings and folders, for messages."""
    words = argv[max(i for i, word in enumerate(argv) if word.startswith("--work-tree=")) + 1 :]
    while words[:1] == ("-c",):
        words = words[2:]
    return " ".join(("git", *words[:2]))
