"""Paths of the daemon and its repository, computed once in ``daemon.settings`` and passed down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Every folder that the daemon of one repository uses. All paths are absolute and real.

    ``repo`` is the top of the work tree, ``git_dir`` the per-worktree git folder, ``common_dir`` the shared one.
    ``repo_id`` is the first 12 hex of sha256 of ``common_dir``.
    """

    repo: Path
    git_dir: Path
    common_dir: Path
    repo_id: str
    state: Path  # ledger, journal, keys, token, spool: 0700
    cache: Path  # models, code index, workspaces that do not fit on tmpfs: 0700
    config: Path  # folder of the owner's settings files
    runtime: Path  # folder of the socket: 0700
    home: Path

    @property
    def states(self) -> Path:
        """The folder with the state folders of all repositories of this user; each holds a key and a token."""
        return self.state.parent if self.state.name == self.repo_id else self.state

    @property
    def own_folders(self) -> tuple[Path, Path, Path, Path]:
        """Folders reserved for the daemons of this user, of whichever repository."""
        return (self.states, self.cache, self.runtime, self.config)

    @property
    def socket(self) -> Path:
        return self.runtime / f"{self.repo_id}.sock"

    @property
    def token(self) -> Path:
        """The file with the token that authenticates a client of the socket."""
        return self.state / "control.token"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger.sqlite3"

    @property
    def heads(self) -> Path:
        return self.state / "heads"

    @property
    def heads_ref(self) -> str:
        """The git ref of a blob with the same lines as :attr:`heads`: a copy outside the state folder."""
        return f"refs/ouroboros/{self.repo_id}"

    @property
    def journal(self) -> Path:
        return self.state / "journal"

    @property
    def keys(self) -> Path:
        return self.state / "keys"

    @property
    def spool(self) -> Path:
        return self.state / "spool"

    @property
    def code_index(self) -> Path:
        return self.cache / "index" / f"{self.repo_id}.sqlite3"

    @property
    def models(self) -> Path:
        return self.cache / "models"


Identity = tuple[int, int]
"""Device and inode of a folder."""
LeftOut = tuple[str, str]
"""An entry of the owner's search path that is not searched, and the reason as a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnv:
    """Environment of children outside the sandbox (git, hooks on request): a scrubbed copy of the daemon's.

    ``variables`` holds no ``GIT_*`` name, no secret and nothing that makes an interpreter load code; ``path`` is the
    search path for programs. ``repository`` identifies the repository's folders: no program is taken from there.
    """

    variables: Mapping[str, str]
    path: str
    repository: frozenset[Identity] = frozenset()
    left_out: tuple[LeftOut, ...] = ()
