"""Git over a tree that untrusted code has written: tests, hooks, commands and edits of a model.

Such code can make repositories inside the tree, whose settings name programs, and attributes that request filters. So
git never looks into a repository below the tree, and runs no filter and no driver, not even the owner's. Text
conversions that git does itself (line ends, encodings, ``$Id$``) work as usual.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ledger.errors import GitFailed
from tools.drivers import PROGRAM
from tools.git import Git, GitResult

GITLINK = "160000"

OPTIONS = tuple(
    word
    for name in ("core.sparseCheckout", "core.splitIndex", "core.untrackedCache", "index.sparse")
    for word in ("-c", f"{name}=false")
)
"""Options of git beside those that every call has (`tools.git.QUIET`)."""
ENV = {"PYTHONSAFEPATH": "1"}
"""A filter of the owner's that is `python -m NAME` would take NAME from the folder that git is in."""

_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--ignore-submodules=all", "--submodule=short")
VERBS: Mapping[str, tuple[str, ...]] = {
    "add": (),
    "check-attr": (),
    "checkout-index": (),
    "diff": _DIFF,
    "diff-files": _DIFF,
    "diff-index": _DIFF,
    "diff-tree": _DIFF,
    "ls-files": (),
    "ls-tree": (),
    "read-tree": (),
    "status": ("--ignore-submodules=all", "--no-renames"),
    "update-index": ("--ignore-submodules",),
    "write-tree": (),
}
"""The commands that may be run over such a tree, each with the options that it then always gets."""

_EMPTY, _FALSE = "OURO_UNTRUSTED_EMPTY", "OURO_UNTRUSTED_FALSE"


@dataclass(frozen=True, slots=True)
class Programs:
    """Settings, of whatever origin, that name a program for git to run over files; ``filters`` are those in use."""

    keys: tuple[str, ...] = ()
    filters: frozenset[str] = frozenset()

    @property
    def argv(self) -> tuple[str, ...]:
        """Options of git that give each of them no value."""
        return tuple(f"--config-env={key}={_FALSE if key.endswith('.required') else _EMPTY}" for key in self.keys)


def list_programs(git: Git) -> Programs:
    """The programs that the settings name now (one call of git)."""
    return parse_programs(git.run("config", "--includes", "-z", "--list").fields)


def parse_programs(rows: Iterable[str]) -> Programs:
    """The pure part of :func:`list_programs`: rows are ``key``, a newline and the value; the last value counts."""
    values: dict[str, str] = {}
    for row in rows:
        key, _, value = row.partition("\n")
        if PROGRAM.fullmatch(key):
            values[key] = value
    cut = (key.removeprefix("filter.").rpartition(".") for key, value in values.items() if value)
    filters = frozenset(name for name, _, what in cut if what in ("clean", "smudge", "process"))
    return Programs(tuple(values), filters)


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedTree:
    """Files at ``root`` that untrusted code has written, and ``index``, a private index file that it has not.

    ``programs`` are those that are not run: none are named where the owner's own checkout is looked at.
    """

    git: Git
    root: Path
    index: Path
    programs: Programs = field(default_factory=Programs)
    options: tuple[str, ...] = ()  # more options of git itself

    def run(
        self,
        verb: str,
        *args: str,
        stdin: bytes | None = None,
        ok: tuple[int, ...] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> GitResult:
        """``git VERB``, one of :data:`VERBS`. Blocks; raises ``GitFailed``."""
        try:
            return self.git.run(
                *OPTIONS,
                *self.options,
                *self.programs.argv,
                verb,
                *VERBS[verb],
                *args,
                stdin=stdin,
                index=self.index,
                work_tree=self.root,
                ok=ok,
                extra_env={**ENV, _EMPTY: "", _FALSE: "false", **(env or {})},
            )
        except GitFailed as error:
            if error.code < 0:  # it was ended and left its lock; this index has no other user
                self.index.with_name(f"{self.index.name}.lock").unlink(missing_ok=True)
            last = error.stderr.strip().splitlines()[-1:] or [error.message]
            raise GitFailed(
                f"`git {verb}` over files that were tested or changed failed: {last[0]}",
                argv=error.argv,
                code=error.code,
                stderr=error.stderr,
                remedy=error.remedy,
            ) from error

    def drop_gitlinks(self) -> None:
        """Remove the entries of submodules from the index: a folder in such a place is an ordinary one."""
        rows = (row.partition("\t") for row in self.run("ls-files", "-s", "-z").fields)
        self.forget(path for meta, _, path in rows if meta.startswith(GITLINK))

    def forget(self, paths: Iterable[str]) -> None:
        """Remove ``paths`` from the index; the files stay."""
        names = join_names(paths)
        if names:
            self.run("update-index", "--force-remove", "-z", "--stdin", stdin=names)

    def take(self, paths: Collection[str]) -> None:
        """Stage the files and links at ``paths``; a folder (it may contain a repository) counts as deleted."""
        folders = {path for path in paths if _is_folder(self.root / path)}
        self.forget(folders)
        names = join_names(path for path in paths if path not in folders)
        if names:
            self.run("update-index", "--add", "--remove", "-z", "--stdin", stdin=names)

    def filtered(self, paths: Iterable[str]) -> dict[str, str]:
        """Those of ``paths`` to which attributes assign a filter in use, with its name."""
        if not self.programs.filters:
            return {}
        fields = self.run("check-attr", "-z", "--stdin", "filter", stdin=join_names(paths)).out.split(b"\0")
        text = [name.decode("utf-8", errors="surrogateescape") for name in fields]
        found = zip(text[::3], text[2::3], strict=False)
        return {path: name for path, name in found if name in self.programs.filters}


def join_names(paths: Iterable[str]) -> bytes:
    """Paths in the form of ``-z --stdin``."""
    return "".join(f"{path}\0" for path in sorted(paths)).encode("utf-8", errors="surrogateescape")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
