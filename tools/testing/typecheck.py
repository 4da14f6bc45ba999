"""The repository's own type checker: new errors in changed files count against a change."""

from __future__ import annotations

import re
from collections.abc import Collection

from ledger.parsers import UnreadableText
from ledger.parsers.ini import read_ini
from ledger.parsers.toml import read_toml
from tools.testing.runner import TestRunner
from tools.workspace import Workspace

_ERROR = re.compile(r"^(?P<path>[^:\n]+):\d+(?::\d+)?: error: (?P<text>.+)$", re.M)
_RAN = frozenset({0, 1})  # mypy's own codes for "fine" and "errors found"; anything else is no verdict


def configures_mypy(name: str, data: bytes) -> bool:
    """Whether a file configures mypy, by its name and content. Pure."""
    text = data.decode("utf-8", errors="replace")
    if name in ("mypy.ini", ".mypy.ini"):
        return True
    try:
        if name == "pyproject.toml":
            return "mypy" in _tool(text)
        return "mypy" in read_ini(text)
    except UnreadableText:
        return False


def _tool(text: str) -> Collection[object]:
    tool = read_toml(text).get("tool")
    return tool if isinstance(tool, dict) else ()


def is_configured(ws: Workspace) -> bool:
    """True when the repository configures mypy. Blocks for a few small reads."""
    for name in ("pyproject.toml", "mypy.ini", ".mypy.ini", "setup.cfg"):
        data = ws.read(name)
        if data is not None and configures_mypy(name, data):
            return True
    return False


def complaints(output: str, paths: Collection[str]) -> frozenset[str]:
    """Errors about ``paths``, without line numbers, which a change moves. Pure."""
    found = ((m["path"].removeprefix("./"), m["text"].strip()) for m in _ERROR.finditer(output))
    return frozenset(f"{path}: {text}" for path, text in found if path in paths)


async def type_errors(
    runner: TestRunner, ws: Workspace, paths: Collection[str], *, limit_s: float
) -> frozenset[str] | None:
    """mypy's errors in ``paths`` of ``ws``; None without a result (not installed, crashed, out of time)."""
    present = sorted(p for p in paths if p.endswith(".py") and ws.read(p) is not None)
    if not present:
        return frozenset()
    quiet = ("--no-error-summary", "--no-color-output", "--hide-error-context", "--cache-dir=/dev/null")
    finished = await runner.module(ws, "mypy", (*quiet, *present), limit_s=limit_s)
    output = finished.output.decode("utf-8", errors="replace")
    if finished.timed_out or finished.code not in _RAN or "No module named mypy" in output:
        return None
    return complaints(output, present)
