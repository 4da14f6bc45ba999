"""The post-commit hook: written only when the owner asks, before his own where he has one, and taken away again.

It drops a file in the spool folder. Without a daemon, a spool or room on the disk nothing happens, and nothing it does
can fail a commit or be seen.
"""

from __future__ import annotations

import os
from pathlib import Path

from daemon.lifecycle.initialise import InitStep
from ledger.errors import ConfigError, PolicyRefused
from ledger.paths import other_kind
from ledger.places import Places
from tools import contained
from tools.git import Git

NAME = "post-commit"
MARK = "# ouroboros wake-up"
CHAINED = "post-commit.owner"
SCRIPT = """#!/bin/sh
{mark} (`ouro hook uninstall` takes it away again)
{{ echo '{{"kind": "commit"}}' > {file}; }} 2>/dev/null
owner="$(dirname "$0")/{chained}"
if [ -x "$owner" ]; then exec "$owner" "$@"; fi
exit 0
"""
EXECUTABLE = 0o755
LARGEST = 64 * 1024
"""Bytes of a hook that are read; one of ours has some 500."""


async def folder_of(git: Git, places: Places) -> Path:
    """Where git looks for the hooks of this repository.

    Raises ``ConfigError`` where they are kept elsewhere, by a setting or a link: what lies there is not ours to write.
    """
    listed = await git.call("config", "--show-scope", "--get-all", "core.hooksPath", ok=(0, 1))
    rows = [line.partition("\t") for line in listed.out.decode("utf-8", errors="replace").splitlines()]
    told = [value for scope, _, value in rows if scope != "command"]  # our own calls turn hooks off
    folder = places.common_dir / "hooks"
    kept = f"{told[-1]} (core.hooksPath)" if told else f"{os.path.realpath(folder)} (by a link)"
    if told or folder.is_symlink():
        raise ConfigError(
            f"The hooks of this repository are kept in {kept}, which is another tool's to write.",
            remedy=f"Add this line to its post-commit hook: {line_for(places)}",
        )
    return folder


def line_for(places: Places) -> str:
    """What wakes the daemon, as a line of shell."""
    return f'{{ echo \'{{"kind": "commit"}}\' > {_quote(_file(places))}; }} 2>/dev/null || true'


def install(folder: Path, places: Places) -> InitStep:
    """Write the hook. One of the owner's is kept beside it and called by it, with its arguments and its exit code."""
    path, chained = folder / NAME, folder / CHAINED
    data = os.fsencode(SCRIPT.format(mark=MARK, file=_quote(_file(places)), chained=CHAINED))
    there = _ours(folder)
    if there == data:
        return InitStep(path, False, "the post-commit hook is there already")
    kind = other_kind(path)
    if kind not in ("", "a symbolic link"):
        return InitStep(path, False, f"{kind} lies there: move it, then ask again")
    if not there and os.path.lexists(path):
        if os.path.lexists(chained):
            return InitStep(path, False, f"{chained.name} is in the way: move it, then ask again")
        path.rename(chained)
    try:
        folder.mkdir(exist_ok=True)
        contained.write_file(folder, NAME, data, EXECUTABLE)
    except OSError as error:
        if os.path.lexists(chained) and not os.path.lexists(path):
            chained.rename(path)
        raise ConfigError(
            f"The hook cannot be written to {path}: {error.strerror}.", remedy="Look at the rights of that folder."
        ) from error
    return InitStep(path, True, "the post-commit hook" + (", before your own" if os.path.lexists(chained) else ""))


def uninstall(folder: Path) -> InitStep:
    """Take the hook away and put the owner's back."""
    path, chained = folder / NAME, folder / CHAINED
    if not _ours(folder):
        return InitStep(path, False, "there is no post-commit hook of ours")
    if os.path.lexists(chained):
        chained.replace(path)
        return InitStep(path, True, "your own post-commit hook is back")
    path.unlink()
    return InitStep(path, True, "the post-commit hook is gone")


def _ours(folder: Path) -> bytes:
    """Our hook as it lies in ``folder``; empty where there is none, or what lies there is the owner's."""
    try:
        data = contained.read_file(folder, NAME, most=LARGEST) or b""
    except (PolicyRefused, OSError):  # a link, a huge file, no folder
        return b""
    return data if MARK.encode() in data else b""


def _file(places: Places) -> Path:
    return places.spool / "post-commit.json"


def _quote(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
