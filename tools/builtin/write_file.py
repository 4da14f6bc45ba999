"""write_file and delete_file: write or delete a whole file of the op's workspace."""

from __future__ import annotations

from pydantic import Field

from tools.builtin.edit_file import split_lines
from tools.builtin.paths import RepoPath
from tools.builtin.writing import remove, write
from tools.edits import ParsedEdits, WholeFile
from tools.manifest import Arguments, Call, Tool


class WriteFileArguments(Arguments):
    """Arguments of write_file."""

    path: RepoPath = Field(min_length=1, description="file, relative to the top of the repository")
    content: str = Field(description="the whole content; a newline is added at its end if missing")


class WriteFile(Tool[WriteFileArguments]):
    """Creates or replaces a file. An existing one must have been read; its encoding and line endings are kept."""

    name = "write_file"
    description = "Write a whole file: create it, or replace one that you have read. edit_file changes parts."
    writes = True
    model = WriteFileArguments

    def paths(self, arguments: WriteFileArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: WriteFileArguments, call: Call) -> str:
        whole = WholeFile(path=arguments.path, lines=split_lines(arguments.content))
        return await write(call, arguments.path, ParsedEdits(parts=(whole,)))


class DeleteFileArguments(Arguments):
    """Arguments of delete_file."""

    path: RepoPath = Field(min_length=1, description="file, relative to the top of the repository")


class DeleteFile(Tool[DeleteFileArguments]):
    """Removes one file that was read."""

    name = "delete_file"
    description = "Delete a file that you have read."
    writes = True
    model = DeleteFileArguments

    def paths(self, arguments: DeleteFileArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: DeleteFileArguments, call: Call) -> str:
        return await remove(call, arguments.path)
