"""Every built-in tool, made ready for a toolbox."""

from __future__ import annotations

import shutil

from ledger.places import HostEnv
from tools.builtin.edit_file import EditFile
from tools.builtin.git_log import GitLog
from tools.builtin.index import CodeIndex
from tools.builtin.listing import GlobFiles, ListDir
from tools.builtin.read_file import ReadFile
from tools.builtin.run_tests import RunTests
from tools.builtin.search_code import SearchCode
from tools.builtin.settings import BuiltinSettings
from tools.builtin.symbols import GetCallers, ListSymbols
from tools.manifest import AnyTool, ToolSettings


def standard_tools(
    host: HostEnv, *, settings: BuiltinSettings | None = None, tools: ToolSettings | None = None
) -> tuple[AnyTool, ...]:
    """Every built-in tool. ripgrep is used when the search path has it."""
    settings, tools = settings or BuiltinSettings(), tools or ToolSettings()
    index = CodeIndex(limit=settings.indexed_files)
    return (
        ReadFile(result_bytes=tools.result_bytes),
        SearchCode(ripgrep=shutil.which("rg", path=host.path), timeout_s=settings.search_timeout_s),
        ListSymbols(index=index),
        GetCallers(index=index),
        ListDir(),
        GlobFiles(),
        GitLog(),
        RunTests(),
        EditFile(),
    )
