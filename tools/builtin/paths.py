"""Paths in tool arguments, and walking a workspace without following a link."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from ledger.errors import ToolError

NEVER_LISTED = frozenset({".git", "__pycache__"})


def tidy(path: str) -> str:
    """``./a//b/`` as ``a/b``; ``.`` as the empty path. ``..`` is left for the policy to refuse."""
    lead = "/" if path.startswith("/") else ""
    parts = [part for part in re.split(r"/+", path) if part not in ("", ".")]
    return lead + "/".join(parts)


RepoPath = Annotated[str, Field(max_length=1024), AfterValidator(tidy)]


def open_folder(root: Path, path: str) -> int:
    """A descriptor of a folder below ``root``, which the caller closes. Raises ``ToolError``, also for a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(root, flags)
    for part in path.split("/") if path else []:
        try:
            deeper = os.open(part, flags, dir_fd=fd)
        except OSError as error:
            raise ToolError(f"There is no folder {path!r}: {error.strerror}.") from error
        finally:
            os.close(fd)
        fd = deeper
    return fd


def walk(root: Path, under: str = "") -> Iterator[str]:
    """Regular files below ``under``, relative to ``root``, sorted within each folder. Links are left out."""
    fd = open_folder(root, under)
    try:
        for folder, names, files, here in os.fwalk(".", dir_fd=fd, follow_symlinks=False):
            names[:] = sorted(n for n in names if n not in NEVER_LISTED)
            base = "/".join(p for p in (under, folder.removeprefix(".").lstrip("/")) if p)
            for name in sorted(files):
                if stat.S_ISREG(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                    yield f"{base}/{name}" if base else name
    finally:
        os.close(fd)


def mode_of(root: Path, path: str) -> int | None:
    """Permission bits of a file (0644 or 0755, as git keeps them), or None when there is none."""
    folder, _, name = path.rpartition("/")
    try:
        fd = open_folder(root, folder)
    except (ToolError, OSError):
        return None
    try:
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    finally:
        os.close(fd)
    return 0o755 if mode & 0o100 else 0o644
