"""The list of built-in tools. A new tool is its file and a line in TOOLS."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from ledger.errors import ProgramMissing
from ledger.places import HostEnv
from ledger.programs import find_program
from tools.builtin.code import Code
from tools.builtin.settings import BuiltinSettings
from tools.index.index import CodeIndex
from tools.manifest import AnyTool, Tool, ToolSettings
from tools.web.settings import WebSettings

TOOLS = (
    "read_file:ReadFile",
    "search_code:SearchCode",
    "symbols:ListSymbols",
    "symbols:GetCallers",
    "module_graph:ModuleGraph",
    "listing:ListDir",
    "listing:GlobFiles",
    "git_log:GitLog",
    "git_diff:GitDiff",
    "git_blame:GitBlame",
    "run_tests:RunTests",
    "edit_file:EditFile",
    "write_file:WriteFile",
    "write_file:DeleteFile",
    "bash:Bash",
    "ask_human:AskHuman",
    "web:WebFetch",
    "web:WebSearch",
)
"""``module:Class`` in this folder, in the order in which a model sees them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolParts:
    """What tools are built from (``Tool.build``)."""

    host: HostEnv
    settings: BuiltinSettings = field(default_factory=BuiltinSettings)
    tools: ToolSettings = field(default_factory=ToolSettings)
    code: Code
    web: WebSettings | None = None  # None: no host may be contacted
    answer_s: float | None = None  # seconds that the owner has to answer a question; None: no question can be put

    def find_program(self, name: str, *, path: str | None = None) -> str | None:
        """Absolute path of a program on the host's search path (or on ``path``); None when there is none."""
        try:
            return str(find_program(name, replace(self.host, path=path) if path else self.host))
        except ProgramMissing:
            return None


def standard_tools(
    host: HostEnv,
    *,
    settings: BuiltinSettings | None = None,
    tools: ToolSettings | None = None,
    index: CodeIndex | None = None,
    web: WebSettings | None = None,
    answer_s: float | None = None,
) -> tuple[AnyTool, ...]:
    """The built-in tools that can be used with these parts. Without ``index`` one in memory is made."""
    settings = settings or BuiltinSettings()
    index = index or CodeIndex(limit=settings.indexed_files, largest_bytes=settings.indexed_file_bytes)
    parts = ToolParts(
        host=host,
        settings=settings,
        tools=tools or ToolSettings(),
        code=Code(index=index, wait_s=settings.index_wait_s),
        web=web,
        answer_s=answer_s,
    )
    built = (load_tool(entry).build(parts) for entry in TOOLS)
    return tuple(tool for tool in built if tool is not None)


def load_tool(entry: str) -> type[Tool[Any]]:
    """The class of an entry of TOOLS."""
    module, _, name = entry.partition(":")
    found: type[Tool[Any]] = getattr(import_module(f"tools.builtin.{module}"), name)
    return found
