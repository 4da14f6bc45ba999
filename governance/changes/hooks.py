"""Runs the repository's own pre-commit and commit-msg hooks, as the owner configured them.

git's plumbing runs no hooks, so they are run here, on the private index and an exported copy of the tree; without a
hook, no process is started. A hook that edits files, index or message counts as failed, and its output shows the edit.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from governance.changes.arena import Arena, open_arena
from governance.changes.settings import ChangeSettings
from ledger.errors import GitFailed, SandboxError
from ledger.places import HostEnv, Places
from ledger.vocabulary import Frozen
from tools.drivers import REPOSITORY_SCOPES
from tools.git import Git
from tools.sandbox.places_rule import forbidden_place

if TYPE_CHECKING:
    from tools.process import Finished
    from tools.sandbox.types import Mount, Sandbox

HOOKS = ("pre-commit", "commit-msg")
_FOLDER_HIDDEN = (
    "The {hook} hook lies in {folder} (core.hooksPath), which is hidden from code in the sandbox: {why}. "
    'Keep the hooks in a folder of their own elsewhere, or set changes.hooks = "owner".'
)


class HookResult(Frozen):
    """Result of a hook. ``ran`` is False when the repository has no such hook."""

    ok: bool
    output: str = ""
    ran: bool = True


class HookRunner(Protocol):
    """Port for running hooks."""

    async def run(self, hook: str, *, index: Path, message: Path | None) -> HookResult:
        """Run one hook on the tree in ``index``. ``message``: the file for commit-msg."""
        ...


class NoHooks:
    """For use without a sandbox: refuses if there is a hook, because nothing can run it."""

    def __init__(self, git: Git) -> None:
        self._git = git

    async def run(self, hook: str, *, index: Path, message: Path | None) -> HookResult:
        """Accepts without a hook, refuses with one."""
        if find_hook(self._git, hook) is None:
            return HookResult(ok=True, ran=False)
        return HookResult(
            ok=False,
            output=f'There is a {hook} hook, but no sandbox to run it in; changes.hooks = "owner" runs it without.',
        )


@dataclass(frozen=True, slots=True)
class Hook:
    """The script git would run, and the scope of the configuration that names its folder (None: git's own folder)."""

    script: Path
    scope: str | None = None

    @property
    def named_by_owner(self) -> bool:
        return self.scope not in REPOSITORY_SCOPES


def find_hook(git: Git, hook: str) -> Hook | None:
    """The hook that git would run: from the configured ``core.hooksPath``, else from the hooks folder."""
    raw = git.run("config", "--show-scope", "-z", "--type=path", "--get-all", "core.hooksPath", ok=(0, 1)).fields
    own = [(scope, value) for scope, value in zip(raw[::2], raw[1::2], strict=False) if scope != "command"]
    repo, common = git.places.repo, git.places.common_dir
    scope, folder = None, common / "hooks"
    if own:
        scope, value = own[-1]
        folder = Path(os.path.normpath(repo / value))
        if not any(folder.is_relative_to(inside) for inside in (repo, common)):
            folder = folder.resolve()
    script = folder / hook
    return Hook(script, scope) if _is_script(script) else None


def _is_script(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:  # like git, treat an unreachable hook as absent
        return False
    return stat.S_ISREG(mode) and bool(mode & 0o111)


class SandboxedHooks:
    """Runs hooks in the sandbox. ``mounts``: further paths visible to them (a test environment)."""

    def __init__(
        self,
        *,
        git: Git,
        settings: ChangeSettings,
        sandbox: Sandbox,
        mounts: tuple[Mount, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._git = git
        self._settings = settings
        self._sandbox = sandbox
        self._mounts = mounts
        self._env = dict(env or {})

    async def run(self, hook: str, *, index: Path, message: Path | None) -> HookResult:
        """Run one hook in an exported copy of the tree, mounted at the checkout's path where the sandbox can."""
        from tools.sandbox.types import Job, Mount

        found = find_hook(self._git, hook)
        if found is None:
            return HookResult(ok=True, ran=False)
        places, script = self._git.places, found.script
        outside = _lies_outside(places, script)
        if outside and (why := forbidden_place(script.parent, places, named_by_owner=found.named_by_owner)):
            return HookResult(ok=False, output=_FOLDER_HIDDEN.format(hook=hook, folder=script.parent, why=why))
        async with open_arena(self._git, index=index, message=message) as arena:
            seen_at = places.repo if self._sandbox.maps_paths else arena.tree
            job = Job(
                argv=(str(script if self._sandbox.maps_paths else arena.script(script)), *arena.arguments),
                cwd=seen_at,
                mounts=(
                    Mount(source=arena.tree, target=seen_at, writable=True, ours=True, closed=True),
                    Mount(source=places.common_dir, target=places.common_dir),
                    Mount(source=arena.desk, target=arena.desk, writable=True, ours=True, closed=True),
                    *((Mount(source=script.parent, target=script.parent),) if outside else ()),
                    *self._mounts,
                ),
                env={**self._env, **arena.env(seen_at)},
                timeout_s=self._settings.hook_timeout_s,
            )
            try:
                done = await self._sandbox.run(job)
            except SandboxError as error:
                return HookResult(ok=False, output=f"The {hook} hook cannot be run in the sandbox. {error}")
            return await _judge(arena, hook, done)


class OwnerHooks:
    """Runs hooks in the owner's environment, as ``git commit`` would; only if the owner's settings allow it."""

    def __init__(self, *, git: Git, settings: ChangeSettings, env: HostEnv) -> None:
        self._git = git
        self._settings = settings
        self._env = env

    async def run(self, hook: str, *, index: Path, message: Path | None) -> HookResult:
        """Run one hook through ``git hook run`` in an exported copy of the tree."""
        from tools.process import Command, run

        found = find_hook(self._git, hook)
        if found is None:
            return HookResult(ok=True, ran=False)
        script = found.script
        async with open_arena(self._git, index=index, message=message) as arena:
            if await arena.changes_hooks(script):
                return HookResult(ok=False, output=f"The change edits {hook} itself; it is not run outside a sandbox.")
            command = Command(
                argv=(
                    self._git.program,
                    "-c",
                    f"core.hooksPath={script.parent}",
                    f"--git-dir={self._git.places.git_dir}",
                    f"--work-tree={arena.tree}",
                    "hook",
                    "run",
                    hook,
                    "--",
                    *arena.arguments,
                ),
                cwd=arena.tree,
                env={**self._env.variables, **arena.env(arena.tree)},
                timeout_s=self._settings.hook_timeout_s,
            )
            return await _judge(arena, hook, await run(command))


def make_hooks(
    *,
    git: Git,
    settings: ChangeSettings,
    sandbox: Sandbox | None,
    env: HostEnv,
    mounts: tuple[Mount, ...] = (),
) -> HookRunner:
    """The hook runner for the settings."""
    if settings.hooks == "owner":
        return OwnerHooks(git=git, settings=settings, env=env)
    if sandbox is None:
        return NoHooks(git)
    return SandboxedHooks(git=git, settings=settings, sandbox=sandbox, mounts=mounts)


async def _judge(arena: Arena, hook: str, done: Finished) -> HookResult:
    output = done.output.decode("utf-8", errors="replace").strip()
    if done.timed_out or done.flooded or done.code != 0:
        why = (
            "did not end in time"
            if done.timed_out
            else f"ended with {done.code if done.code is not None else 'a signal'}"
        )
        return HookResult(ok=False, output=f"{hook} {why}.\n{output}".strip())
    try:
        edits = await arena.edits()
    except (GitFailed, OSError) as error:
        reason = error.message if isinstance(error, GitFailed) else error.strerror
        why = f"{hook} left files that cannot be compared with what was to be committed"
        return HookResult(ok=False, output=f"{why}: {reason}\n{output}".strip())
    if edits:
        return HookResult(ok=False, output=f"{hook} changed what was to be committed:\n{edits}\n{output}".strip())
    return HookResult(ok=True, output=output)


def _lies_outside(places: Places, script: Path) -> bool:
    """Whether the script is outside repository and git folder, so that its folder must be mounted too."""
    return not any(script.is_relative_to(folder) for folder in (places.repo, places.common_dir))
