"""Programs that a repository's own settings name (filters, drivers, checkers of signatures): git is not to run them.

Whoever made the repository wrote them; they would run outside of every wall. What the owner's own settings say of the
same name holds, so that a filter which he installed for himself (large files, for instance) goes on working.
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
FILE = "core.attributesfile"
"""Says for which files which driver is taken; like a program, it is the owner's to name."""
HOOK = re.compile(r"hook\.(.+)\.(command|event|enabled)", re.DOTALL)
"""Hooks that stand in the settings themselves (git 2.54); ``core.hooksPath`` says nothing about them."""
INCLUDE = re.compile(r"include\.path|includeif\..+\.path", re.DOTALL)
OF_THE_REPOSITORY = frozenset({"local", "worktree"})
LIST = ("config", "--show-scope", "--show-origin", "--includes", "-z", "--list")
VARIABLE = "OURO_GIT_SETTING"

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Arguments and variables for a call of git, the files that they were found out from, and what is not run."""

    argv: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # settings that name a program which the owner's own do not


class Drivers:
    """Remembers the overrides for as long as no file of settings changes."""

    def __init__(self, *, git_dir: Path, common_dir: Path) -> None:
        # The branch is a condition under which further settings are included.
        self._own = tuple(str(path) for path in (common_dir / "config", git_dir / "config.worktree", git_dir / "HEAD"))
        self._found: tuple[Signature, Overrides] | None = None

    def overrides(self, listed: Callable[[], bytes]) -> Overrides:
        """What a call of git needs now. ``listed`` gives all settings, as :data:`LIST` prints them."""
        known = self._found
        if known is None or known[0] != _signature((*self._own, *known[1].files)):
            found = overrides(listed())
            self._found = known = (_signature((*self._own, *found.files)), found)
        return known[1]


def overrides(listed: bytes) -> Overrides:
    """Pure: each program that the repository names gets the owner's value, or none; a hook of settings is switched off.

    No hook of anybody's runs when we move a branch: those for a commit are run apart (``governance.changes.hooks``).
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
            hooks |= _switched_off(hook)
        if (PROGRAM.fullmatch(key) or key == FILE) and scope in OF_THE_REPOSITORY:
            named[key] = None
        elif PROGRAM.fullmatch(key) or key == FILE:
            owners[key] = value
    settings = {key: owners.get(key, _nothing(key)) for key in named} | hooks
    values = {f"{VARIABLE}_{number}": value for number, value in enumerate(settings.values())}
    argv = (f"--config-env={key}={variable}" for key, variable in zip(settings, values, strict=True))
    refused = (key for key in named if key not in owners and not key.endswith(".required") and key != FILE)
    return Overrides(tuple(argv), values, tuple(files), tuple(refused))


def _switched_off(hook: re.Match[str]) -> dict[str, str]:
    """A hook by its name; an event can be switched off as a whole, but has no list of events of its own."""
    off = {f"hook.{hook[1]}.enabled": "false"}
    return off if hook[2] == "enabled" else {**off, f"hook.{hook[1]}.event": ""}


def _nothing(key: str) -> str:
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
