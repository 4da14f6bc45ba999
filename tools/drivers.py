"""Overrides git settings of a repository that name programs (filters, diff and merge drivers, signature programs).

Such programs are untrusted and git would run them outside the sandbox. Each such setting gets the value of the owner's
global settings, if any, so that a filter which the owner installed (e.g. Git LFS) still works.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = re.compile(
    r"filter\..+\.(?:clean|smudge|process|required)|diff\..+\.(?:command|textconv)|merge\..+\.driver"
    r"|gpg\.(?:.+\.)?program|gpg\.ssh\.defaultkeycommand",
    re.DOTALL,
)
ATTRIBUTES_FILE = "core.attributesfile"
"""Names a file that assigns drivers to paths; as for programs, only the owner's value is used."""
HOOK = re.compile(r"hook\.(.+)\.(command|event|enabled)", re.DOTALL)
"""Hooks defined in the settings (git 2.54), which ``core.hooksPath`` does not affect."""
INCLUDE = re.compile(r"include\.path|includeif\..+\.path", re.DOTALL)
REPOSITORY_SCOPES = frozenset({"local", "worktree"})
LIST_COMMAND = ("config", "--show-scope", "--show-origin", "--includes", "-z", "--list")
VARIABLE = "OURO_GIT_SETTING"

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Arguments and variables for a git call, the settings files that they depend on, and the refused settings."""

    argv: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # settings that name a program and have no owner's value


class Drivers:
    """Caches the overrides until a settings file changes."""

    def __init__(self, *, git_dir: Path, common_dir: Path) -> None:
        # HEAD too: `includeIf.onbranch` depends on the branch.
        self._own = tuple(str(path) for path in (common_dir / "config", git_dir / "config.worktree", git_dir / "HEAD"))
        self._found: tuple[Signature, Overrides] | None = None

    def overrides(self, listed: Callable[[], bytes]) -> Overrides:
        """The overrides for a git call now. ``listed`` returns all settings, as :data:`LIST_COMMAND` prints them."""
        known = self._found
        if known is None or known[0] != _signature((*self._own, *known[1].files)):
            found = overrides(listed())
            self._found = known = (_signature((*self._own, *found.files)), found)
        return known[1]


def overrides(listed: bytes) -> Overrides:
    """Overrides from listed settings: the owner's value, or none, for each program; hooks are disabled. Pure.

    No hooks run when we move a branch; commit hooks are run separately (``governance.changes.hooks``).
    """
    owners: dict[str, str] = {}
    hooks: dict[str, str] = {}
    named: dict[str, None] = {}
    files: dict[str, None] = {}
    fields = listed.decode("utf-8", errors="surrogateescape").split("\0")
    for scope, origin, row in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        key, _, value = row.partition("\n")
        file = origin.removeprefix("file:")
        if INCLUDE.fullmatch(key):
            files[os.path.join(os.path.dirname(file), os.path.expanduser(value))] = None  # noqa: PTH118, PTH120, PTH111
        if origin != file:
            files[file] = None
        if hook := HOOK.fullmatch(key):
            hooks |= _disable_hook(hook)
        if (PROGRAM.fullmatch(key) or key == ATTRIBUTES_FILE) and scope in REPOSITORY_SCOPES:
            named[key] = None
        elif PROGRAM.fullmatch(key) or key == ATTRIBUTES_FILE:
            owners[key] = value
    settings = {key: owners.get(key, _empty_value(key)) for key in named} | hooks
    values = {f"{VARIABLE}_{number}": value for number, value in enumerate(settings.values())}
    argv = (f"--config-env={key}={variable}" for key, variable in zip(settings, values, strict=True))
    refused = (key for key in named if key not in owners and not key.endswith(".required") and key != ATTRIBUTES_FILE)
    return Overrides(tuple(argv), values, tuple(files), tuple(refused))


def _disable_hook(hook: re.Match[str]) -> dict[str, str]:
    """Settings that disable a hook. With key ``enabled`` the name may be an event's, which has no ``event`` setting."""
    off = {f"hook.{hook[1]}.enabled": "false"}
    return off if hook[2] == "enabled" else {**off, f"hook.{hook[1]}.event": ""}


def _empty_value(key: str) -> str:
    return "false" if key.endswith(".required") else ""


def _signature(files: Iterable[str]) -> Signature:
    found = []
    for file in files:
        try:
            seen = os.stat(file)  # noqa: PTH116
            found.append((file, seen.st_mtime_ns, seen.st_size))
        except OSError:
            found.append((file, 0, 0))
    return tuple(found)
