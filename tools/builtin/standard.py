"""Construction of the built-in tools."""

from __future__ import annotations

from dataclasses import replace

from ledger.errors import ProgramMissing
from ledger.places import HostEnv
from ledger.programs import find_program
from tools.builtin.bash import Bash
from tools.builtin.code import Code
from tools.builtin.edit_file import EditFile
from tools.builtin.git_blame import GitBlame
from tools.builtin.git_diff import GitDiff
from tools.builtin.git_log import GitLog
from tools.builtin.listing import GlobFiles, ListDir
from tools.builtin.module_graph import ModuleGraph
from tools.builtin.read_file import ReadFile
from tools.builtin.run_tests import RunTests
from tools.builtin.search_code import SearchCode
from tools.builtin.settings import BuiltinSettings
from tools.builtin.symbols import GetCallers, ListSymbols
from tools.builtin.whole_files import DeleteFile, WriteFile
from tools.index.index import CodeIndex
from tools.manifest import AnyTool, ToolSettings
from tools.sandbox.tree import SEARCH_PATH


def standard_tools(
    host: HostEnv,
    *,
    settings: BuiltinSettings | None = None,
    tools: ToolSettings | None = None,
    index: CodeIndex | None = None,
) -> tuple[AnyTool, ...]:
    """The built-in tools. ripgrep is used if it is on the search path; without ``index`` one in memory is made."""
    settings, tools = settings or BuiltinSettings(), tools or ToolSettings()
    index = index or CodeIndex(limit=settings.indexed_files, largest_bytes=settings.indexed_file_bytes)
    code = Code(index=index, wait_s=settings.index_wait_s)
    return (
        ReadFile(result_bytes=tools.result_bytes),
        SearchCode(ripgrep=_found("rg", host), timeout_s=settings.search_timeout_s),
        ListSymbols(code=code),
        GetCallers(code=code),
        ModuleGraph(code=code),
        ListDir(),
        GlobFiles(),
        GitLog(),
        GitDiff(result_bytes=tools.result_bytes),
        GitBlame(result_bytes=tools.result_bytes),
        RunTests(),
        EditFile(),
        WriteFile(),
        DeleteFile(),
        Bash(
            shell=_found("bash", replace(host, path=SEARCH_PATH)),
            settings=settings,
            result_bytes=tools.result_bytes,
        ),
    )


def _found(name: str, host: HostEnv) -> str | None:
    try:
        return str(find_program(name, host))
    except ProgramMissing:
        return None
