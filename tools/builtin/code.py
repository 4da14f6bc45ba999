"""Access of the code tools to the index and to the op's workspace."""

from __future__ import annotations

import asyncio

from ledger.errors import ToolError
from tools.index.facts import UNREAD
from tools.index.index import CodeIndex
from tools.index.languages import PYTHON
from tools.index.view import View, Views
from tools.manifest import Call

FEW = 300  # contents that are parsed for one query; of more, only those that contain the name


class Code:
    """The code index for tools. Files that are not visible to the call are left out of results."""

    def __init__(self, *, index: CodeIndex, wait_s: float) -> None:
        self.index = index
        self._views = Views(index=index)
        self._wait_s = wait_s

    async def view(self, call: Call) -> View:
        """The op's workspace now. Indexes the files that the op has changed."""
        context = call.context
        view = await self._views.of(context.workspace, context.git, written=context.written, visible=call.visible)
        await self.index.learn(view.own)
        return view

    async def know_word(self, view: View, call: Call, word: str) -> None:
        """Index every file in which ``word`` may be defined or called, also while the index is still being built."""
        missing = await self.index.missing(set(view.files.values()))
        if missing:
            await self.index.learn_blobs(call.context.git, missing, word=word if len(missing) > FEW else None)

    async def know_python(self, view: View, call: Call) -> None:
        """Index every Python file. Raises ``ToolError`` when that takes longer than ``wait_s``."""
        python = {key for key in view.files.values() if key.endswith(f".{PYTHON}")}
        try:
            async with asyncio.timeout(self._wait_s):
                await self.index.learn_blobs(call.context.git, python)
        except TimeoutError:
            left = len(await self.index.missing(python))
            raise ToolError(
                f"The index is still being built: {len(python) - left} of {len(python)} Python files are known.",
                remedy="Ask again; what is known stays known.",
            ) from None

    async def left_out(self, view: View, call: Call, under: str) -> list[str]:
        """Source files below ``under`` that are not indexed, each with the reason."""
        unread = await self.index.having(UNREAD)
        found = {path: unread[key].error for path, key in view.files.items() if key in unread} | dict(view.left_out)
        below = [path for path in sorted(found) if is_below(path, under)]
        return await asyncio.to_thread(lambda: [f"{path} ({found[path]})" for path in below if call.visible(path)])


def is_below(path: str, under: str) -> bool:
    """Whether ``path`` is ``under`` or below it; always True for an empty ``under``."""
    return not under or path == under or path.startswith(f"{under}/")
