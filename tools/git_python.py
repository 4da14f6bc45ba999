"""GitPython through ``tools.git``: every git process that it starts has our command line and environment.

It is only imported where it is used. By itself it takes git from the search path, gives it this process's environment
and the repository's settings, and so runs what those name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ledger.children import NOTHING, PIPE, Child, TooMuch, hear, start
from ledger.errors import GitFailed

_STARTS_NOTHING = {"GIT_PYTHON_GIT_EXECUTABLE": "/dev/null", "GIT_PYTHON_REFRESH": "quiet"}
_ONCE = threading.Lock()
BOUNDED = {"GIT_ALLOC_LIMIT": "256m"}
"""What git takes into memory at once: GitPython reads a commit as a whole, and a packed megabyte can stand for one of
gigabytes."""


class Caller:
    """Calls git for GitPython: ``prefix`` begins each command line, ``env`` is what the child is given.

    It remembers its children, which end with it.
    """

    def __init__(self, *, prefix: tuple[str, ...], env: Mapping[str, str], cwd: Path, timeout_s: float) -> None:
        self._prefix, self._env, self._cwd = prefix, {**env, **BOUNDED}, cwd
        self._timeout_s = timeout_s
        self._children: list[Child] = []
        self._turn = threading.Lock()
        self._over = False
        self._timer = threading.Timer(timeout_s, self.end)

    def __enter__(self) -> Caller:
        self._timer.start()
        return self

    def __exit__(self, *of: object) -> None:
        self._timer.cancel()
        self.end()
        self._timer.join()
        for child in self._children:
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    with suppress(BrokenPipeError):  # what was still to be written is read by nobody
                        stream.close()
            child.wait()

    def start(self, words: Sequence[object], stdin: Any) -> Child:
        """Start git with these words. Raises ``GitFailed`` once the time is up."""
        argv = (*self._prefix, *map(str, words))
        with self._turn:
            if self._over:
                raise GitFailed("git took too long to read the history.", argv=argv, code=-1, stderr="")
            child = start(argv, cwd=self._cwd, env=self._env, stdin=stdin, stdout=PIPE, stderr=PIPE)
            self._children.append(child)
        return child

    def hear(self, child: Child) -> tuple[bytes, bytes]:
        """Both streams of a child that has ended. Raises ``GitFailed`` for one that does not, or writes too much."""
        try:
            return hear(child, timeout_s=self._timeout_s)
        except (TimeoutError, TooMuch) as error:
            child.kill()
            why = error.strerror or "it took too long"
            raise GitFailed(f"git was ended while it read the history: {why}.", argv=(), code=-1, stderr="") from error

    def end(self) -> None:
        """End every child that still runs; who reads from one finds the end of its output."""
        with self._turn:
            self._over = True
            for child in self._children:
                if child.returncode is None:
                    child.kill()


def repo_of(git_dir: Path, caller: Caller) -> Any:
    """A ``git.Repo`` that calls git through ``caller``; close it. Raises ``GitFailed`` for an odd git folder."""
    if os.path.lexists(git_dir / ".git"):  # it would be followed, or waited for
        raise GitFailed(
            f"There is a .git in {git_dir}, where none belongs.", argv=("git",), code=-1, stderr="", remedy="Remove it."
        )
    git = _import_package()

    class Through(git.Git):  # type: ignore[misc, name-defined]  # imported late
        """Each call is made by ``caller``."""

        def execute(
            self,
            command: Sequence[object],
            istream: Any = None,
            *,
            as_process: bool = False,
            with_exceptions: bool = True,
            with_extended_output: bool = False,
            stdout_as_string: bool = True,
            strip_newline_in_stdout: bool = True,
        ) -> Any:
            child = caller.start(command[1:], istream or NOTHING)
            if as_process:
                return self.AutoInterrupt(child, command)
            with child:
                out, err = caller.hear(child)
            if with_exceptions and child.returncode:
                raise git.GitCommandError(list(command), child.returncode, err, out)
            out = out.removesuffix(b"\n") if strip_newline_in_stdout else out
            said = out.decode("utf-8", errors="surrogateescape") if stdout_as_string else out
            return (child.returncode, said, err.decode("utf-8", errors="replace")) if with_extended_output else said

    class Opened(git.Repo):  # type: ignore[misc, name-defined]
        GitCommandWrapperType = Through

    return Opened(git_dir, expand_vars=False)


def _import_package() -> Any:
    """GitPython. Its import runs ``git version`` with the environment of this process, unless that fails.

    The program to run can only be set by variables, which are read during the import; no program is one to fail.
    """
    with _ONCE:
        environ = os.environ
        before = {name: environ.get(name) for name in _STARTS_NOTHING}
        environ.update(_STARTS_NOTHING)
        try:
            import git
        finally:
            for name, value in before.items():
                if value is None:
                    del environ[name]
                else:
                    environ[name] = value
    return git
