"""Other repositories of this machine that the owner names: their commits are read, their files and hooks never."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from daemon.settings.checkout import checkout_of
from daemon.settings.places import beside, git_folders
from ledger.errors import RepositoryError
from ledger.places import HostEnv, Places
from sensors.ports import OtherFile
from sensors.sensor import TRAILER
from sensors.watch.named import Refs
from tools.git import Git
from tools.repository import Repository


class OtherRepositories:
    """Reads commits of other repositories. Each call opens its repository: it may have been moved or created."""

    def __init__(self, *, places: Places, env: HostEnv) -> None:
        self._places = places
        self._env = env

    async def refs(self, repository: str) -> Refs:
        """Where its branches lie. Raises ``RepositoryError`` where there is no checkout."""
        git = await self._git(repository)
        return Refs(git_dir=str(git.places.git_dir), common_dir=str(git.places.common_dir))

    async def read(self, repository: str, path: str, *, largest: int) -> OtherFile:
        """A file at HEAD. Raises ``RepositoryError`` where there is no commit, or the file is larger."""
        other = Repository(await self._git(repository))
        commit = (await other.head()).commit
        if commit is None:
            raise RepositoryError(f"{repository} has no commit yet.", remedy="Make a first commit there.")
        size = await other.size(commit, path)
        if size is None:
            return OtherFile(commit=commit, data=None)
        if size > largest:
            raise RepositoryError(f"{path} in {repository} is larger than {largest} bytes.")
        by_op = TRAILER in await other.trailers(commit, path)
        return OtherFile(commit=commit, data=await other.read(commit, path), by_op=by_op)

    async def _git(self, repository: str) -> Git:
        return await asyncio.to_thread(self._open, Path(repository))

    def _open(self, path: Path) -> Git:
        home = self._places.home
        top, git_dir, common_dir = git_folders(path, self._env, home=home)
        env = beside(self._env, checkout_of(top, home=home).folders)
        return Git(replace(self._places, repo=top, git_dir=git_dir, common_dir=common_dir), env)
