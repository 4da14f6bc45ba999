"""The post-commit hook: written only when the owner asks, before his own where he has one, and taken away again.

It drops a file in the spool folder. Without a daemon, a spool or room on the disk nothing happens, and nothing it does
can fail a commit or be seen.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from daemon.lifecycle.initialise import InitStep
from ledger.errors import ConfigError
from ledger.places import Places
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


async def folder_of(git: Git, places: Places) -> Path:
    """Where git looks for the hooks of this repository.

    Raises ``ConfigError`` where the owner has another tool keep them: what lies there is that tool's to write.
    """
    listed = await git.call("config", "--show-scope", "--get-all", "core.hooksPath", ok=(0, 1))
    rows = [line.partition("\t") for line in listed.out.decode("utf-8", errors="replace").splitlines()]
    told = [value for scope, _, value in rows if scope != "command"]  # our own calls turn hooks off
    if told:
        raise ConfigError(
            f"The hooks of this repository are kept in {told[-1]} (core.hooksPath), which is another tool's to write.",
            remedy=f"Add this line to its post-commit hook: {line_for(places)}",
        )
    return places.common_dir / "hooks"


def line_for(places: Places) -> str:
    """What wakes the daemon, as a line of shell."""
    return f'{{ echo \'{{"kind": "commit"}}\' > {_quote(_file(places))}; }} 2>/dev/null || true'


def install(folder: Path, places: Places) -> InitStep:
    """Write the hook. One of the owner's is kept beside it and called by it, with its arguments and its exit code."""
    path, chained = folder / NAME, folder / CHAINED
    text = SCRIPT.format(mark=MARK, file=_quote(_file(places)), chained=CHAINED)
    if _is_ours(path):
        if path.read_text(encoding="utf-8", errors="replace") == text:
            return InitStep(path, False, "the post-commit hook is there already")
    elif os.path.lexists(path):
        if os.path.lexists(chained):
            return InitStep(path, False, f"{chained.name} is in the way: move it, then ask again")
        folder.joinpath(NAME).rename(chained)
    try:
        folder.mkdir(exist_ok=True)
        _write(path, text)
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
    if not _is_ours(path):
        return InitStep(path, False, "there is no post-commit hook of ours")
    if os.path.lexists(chained):
        chained.replace(path)
        return InitStep(path, True, "your own post-commit hook is back")
    path.unlink()
    return InitStep(path, True, "the post-commit hook is gone")


def _is_ours(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and MARK in path.read_text(encoding="utf-8", errors="replace")


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(fresh.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    fresh.replace(path)


def _file(places: Places) -> Path:
    return places.spool / "post-commit.json"


def _quote(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
