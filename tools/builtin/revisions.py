"""Revisions in tool arguments: commit ids, and steps back from the op's base. Only the base's history is accessible."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ledger.errors import ToolError
from tools.manifest import Call

Revision = Annotated[
    str,
    Field(
        pattern=r"^(?:(?:HEAD|base)(?:~\d{1,4})?|[0-9a-fA-F]{7,64})?$",
        description="a commit id as git_log shows it, or `base` or `base~N`",
    ),
]


async def commit_of(call: Call, revision: str) -> str:
    """The full id; ``base`` and ``HEAD`` are the op's base. Raises ``ToolError`` for commits outside its history."""
    git, base = call.context.git, call.context.workspace.commit
    asked = revision.replace("HEAD", base).replace("base", base)
    found = await git.call("rev-parse", "-q", "--verify", f"{asked}^{{commit}}", ok=(0, 1, 128))
    if found.code == 0 and found.text:
        inside = await git.call("merge-base", "--is-ancestor", found.text, base, ok=(0, 1, 128))
        if inside.code == 0:
            return found.text
    raise ToolError(f"{revision} is no commit in the history of this op's base.", remedy="git_log lists them.")
