"""Failing tests that are suppressed because the owner undid their repair, until code that they reach changes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from governance.approval.refusals import Refused
from governance.changes.trailers import UNDOES
from governance.risk.codebase import MAX_FILES, read_python
from tools.git import Git
from tools.repository import Repository
from tools.testing.selection.names import is_test_module
from tools.testing.selection.scope import find_affected


class SuppressedTests:
    """Filter for the test failure sensor: which failing tests to make no signals for."""

    def __init__(self, *, refused: Refused, repository: Repository, git: Git) -> None:
        self._refused = refused
        self._repository = repository
        self._git = git

    async def tests(self, commit: str) -> frozenset[str]:
        """Ids of tests whose repair was undone and whose reachable code is unchanged since that undo."""
        found: set[str] = set()
        for taken in await self._refused.taken_back():
            changed = await self._changed_since(taken.commit, commit)
            if changed is not None and not await affects_tests(self._repository, commit, changed, taken.tests):
                found.update(taken.tests)
        return frozenset(found)

    async def _changed_since(self, undo: str, commit: str) -> frozenset[str] | None:
        """Paths changed since an undo commit, not counting other undos; None when the commit no longer exists."""
        if (await self._git.call("cat-file", "-e", f"{undo}^{{commit}}", ok=(0, 1, 128))).code != 0:
            return None
        if (await self._git.call("merge-base", "--is-ancestor", undo, commit, ok=(0, 1, 128))).code != 0:
            return frozenset(await self._repository.changed_between(undo, commit))
        listed = await self._git.call(
            "log",
            "-m",
            "--name-only",
            "--no-renames",
            "--no-ext-diff",
            "-z",
            "--format=",
            "--invert-grep",
            f"--grep=^{UNDOES}: ",
            f"{undo}..{commit}",
            "--",
        )
        return frozenset(path for path in listed.fields if path)


async def affects_tests(repository: Repository, commit: str, changed: Collection[str], tests: Collection[str]) -> bool:
    """Whether changing ``changed`` can affect ``tests`` at ``commit``; True when that cannot be decided."""
    if not changed:
        return False
    test_files = {test.partition("::")[0] for test in tests}
    if not test_files.isdisjoint(changed) or not all(map(is_test_module, test_files)):
        return True  # a conftest or folder id covers tests that are not listed
    files = await read_python(repository, commit)
    if len(files) >= MAX_FILES:
        return True
    return not test_files.isdisjoint(await asyncio.to_thread(find_affected, files, changed))
