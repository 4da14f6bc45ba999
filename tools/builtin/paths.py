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
from ledger.paths import FOLDER, open_below

NEVER_LISTED = frozenset({".git", "__pycache__"})


def tidy(path: str) -> str:
    """``./a//b/`` as ``a/b``; ``.`` as the empty path. ``..`` is left for the policy to refuse."""
    lead = "/" if path.startswith("/") else ""
    parts = [part for part in re.split(r"/+", path) if part not in ("", ".")]
    return lead + "/".join(parts)


RepoPath = Annotated[str, Field(max_length=1024), AfterValidator(tidy)]


def walk(root: Path, under: str = "") -> Iterator[str]:
    """Regular files below ``under``, relative to ``root``, sorted within each folder. Links are left out.

    Raises ``ToolError`` when ``under`` is no folder, or goes through a link.
    """
    try:
        fd = open_below(os.open(root, FOLDER), under.split("/") if under else ())
    except OSError as error:
        raise ToolError(f"There is no folder {under!r}: {error.strerror}.") from error
    try:
        for folder, names, files, here in os.fwalk(".", dir_fd=fd, follow_symlinks=False):
            names[:] = sorted(n for n in names if n not in NEVER_LISTED)
            base = "/".join(p for p in (under, folder.removeprefix(".").lstrip("/")) if p)
            for name in sorted(files):
                if stat.S_ISREG(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                    yield f"{base}/{name}" if base else name
    finally:
        os.close(fd)
