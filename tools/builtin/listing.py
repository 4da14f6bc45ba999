"""The tools list_dir and glob_files, which list files of the workspace."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase

from pydantic import Field

from ledger.errors import ToolError
from tools.builtin.paths import RepoPath, walk
from tools.manifest import Arguments, Call, Category, Tool


class ListDirArguments(Arguments):
    """Arguments of list_dir."""

    path: RepoPath = Field("", description="folder; the top of the repository when left out")


class ListDir(Tool[ListDirArguments]):
    """One level of a folder: sub-folders with the number of their files, then files."""

    name = "list_dir"
    description = "List a folder: its sub-folders (with how many files they hold) and its files."
    category = Category.DISCOVERY
    model = ListDirArguments

    def paths(self, arguments: ListDirArguments) -> tuple[str, ...]:
        return (arguments.path,) if arguments.path else ()

    async def run(self, arguments: ListDirArguments, call: Call) -> str:
        def look() -> list[str]:
            folders: dict[str, int] = {}
            files: list[str] = []
            for path in walk(call.context.workspace.root, arguments.path):
                if not call.visible(path):
                    continue
                head, _, deeper = path[len(arguments.path) :].lstrip("/").partition("/")
                if deeper:
                    folders[head] = folders.get(head, 0) + 1
                else:
                    files.append(head)
            return [f"{name}/ ({count} files)" for name, count in sorted(folders.items())] + files

        return "\n".join(await asyncio.to_thread(look)) or "(empty)"


class GlobFilesArguments(Arguments):
    """Arguments of glob_files."""

    pattern: str = Field(min_length=1, max_length=300, description="e.g. `*.py` (any folder) or `src/*/models.py`")


class GlobFiles(Tool[GlobFilesArguments]):
    """Files whose name matches the pattern; a pattern with a slash is matched with the whole path."""

    name = "glob_files"
    description = "Find files by a shell pattern. `*` also crosses folders."
    category = Category.DISCOVERY
    model = GlobFilesArguments

    def paths(self, arguments: GlobFilesArguments) -> tuple[str, ...]:
        return ()

    async def run(self, arguments: GlobFilesArguments, call: Call) -> str:
        pattern = arguments.pattern.removeprefix("./").removeprefix("**/")

        def look() -> list[str]:
            return [
                path
                for path in walk(call.context.workspace.root)
                if fnmatchcase(path if "/" in pattern else path.rsplit("/", 1)[-1], pattern) and call.visible(path)
            ]

        found = await asyncio.to_thread(look)
        if not found:
            raise ToolError(f"No file matches {arguments.pattern!r}.")
        return "\n".join([f"{len(found)} files", *found])
