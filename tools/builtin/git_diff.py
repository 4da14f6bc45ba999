"""git_diff: the op's changes so far, the changes of a commit, or the difference between two commits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from ledger.errors import ToolError
from tools.builtin.code import is_below
from tools.builtin.paths import RepoPath
from tools.manifest import Arguments, Call, Category, Tool

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


DIFF_OPTIONS = (
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-renames",
    "--ignore-submodules=all",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
SHOWN_NAMES = 60
LONGEST_LINE = 300
BINARY = re.compile(r"^GIT binary patch$.*?(?=^diff --git |\Z)", re.M | re.S)
FILE = re.compile(r"^(?=diff --git )", re.M)
HUNK = re.compile(r"^(?=@@ )", re.M)


# A revision is a commit id or a step back from the base: only the history of the op's base is accessible.
Revision = Annotated[
    str,
    Field(
        pattern=r"^(?:(?:HEAD|base)(?:~\d{1,4})?|[0-9a-fA-F]{7,64})?$",
        description="a commit id as git_log shows it, or `base` or `base~N`",
    ),
]


class GitDiffArguments(Arguments):
    """Arguments of git_diff."""

    path: RepoPath = Field("", description="file or folder; everything when left out")
    commit: Revision = Field(
        "", description="a commit id or `base~N`: what it changed; left out: what you have changed"
    )
    since: Revision = Field("", description="an older commit: what changed between it and `commit` (or the base)")


class GitDiff(Tool[GitDiffArguments]):
    """A list of files with their added and removed lines, then as many whole hunks as fit."""

    name = "git_diff"
    description = (
        "Unified diff: of your own changes so far (no arguments), of one `commit`, or between `since` and `commit`."
    )
    category = Category.HISTORY
    model = GitDiffArguments

    def __init__(self, *, result_bytes: int) -> None:
        self._room = result_bytes

    @classmethod
    def build(cls, parts: ToolParts) -> Self:
        return cls(result_bytes=parts.tools.result_bytes)

    def paths(self, arguments: GitDiffArguments) -> tuple[str, ...]:
        return (arguments.path,) if arguments.path else ()

    async def run(self, arguments: GitDiffArguments, call: Call) -> str:
        if not arguments.commit and not arguments.since:
            workspace = call.context.workspace
            paths = await asyncio.to_thread(_visible_below, await workspace.changed(), arguments, call)
            title = f"your changes on {workspace.commit[:12]}"
            diff = await workspace.diff(paths) if paths else b""
        else:
            title, ends = await _diff_range(arguments, call)
            git = call.context.git
            names = (await git.call("diff-tree", "-r", "-z", "--name-only", "--no-renames", *ends)).fields
            paths = await asyncio.to_thread(
                _visible_below, [name for name in names if name not in ends], arguments, call
            )
            command = ("diff-tree", "-r", "-p", *DIFF_OPTIONS, *ends, "--", *paths)
            diff = (await git.call(*command)).out if paths else b""
        return await asyncio.to_thread(lambda: fit_diff(title, diff.decode("utf-8", errors="replace"), self._room))


def _visible_below(names: Sequence[str], arguments: GitDiffArguments, call: Call) -> tuple[str, ...]:
    return tuple(name for name in names if is_below(name, arguments.path) and call.visible(name))


async def _diff_range(arguments: GitDiffArguments, call: Call) -> tuple[str, tuple[str, ...]]:
    """A title, and diff-tree's arguments: two commits, or a root commit with the options that show it."""
    new = await commit_of(call, arguments.commit or "base")
    if arguments.since:
        old = await commit_of(call, arguments.since)
        return f"from {old[:12]} to {new[:12]}", (old, new)
    parent = await call.context.git.call("rev-parse", "-q", "--verify", f"{new}^", ok=(0, 1, 128))
    if parent.code != 0:
        return f"{new[:12]} (the first commit)", ("--root", "--no-commit-id", new)
    return f"{new[:12]} and its (first) parent {parent.text[:12]}", (parent.text, new)


def fit_diff(title: str, diff: str, room: int) -> str:
    """The diff within ``room`` bytes: a list of files, then whole hunks; those that do not fit are counted. Pure."""
    files = FILE.split(BINARY.sub("Binary files differ\n", diff))[1:]
    if not files:
        return f"{title}: no difference."
    rows = [f"{title}: {len(files)} files"]
    rows += [f"  {_summary(file)}" for file in files[:SHOWN_NAMES]]
    rows += [f"  and {len(files) - SHOWN_NAMES} more files"] if len(files) > SHOWN_NAMES else []
    text = "\n".join(rows) + "\n"
    room -= 200  # for the closing note
    left = 0
    for file in files:
        head, *hunks = HUNK.split(file)
        for number, hunk in enumerate(hunks or [""]):
            piece = ("" if number else head) + _narrow(hunk)
            if left or len((text + piece).encode()) > room:
                left += 1
            else:
                text += piece
    return text + (f"({left} hunks are left out: give `path` to see those of one file)" if left else "").rstrip("\n")


def _narrow(hunk: str) -> str:
    """Cut long lines: in a generated file a line may be as long as the file."""
    lines = hunk.split("\n")
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} [...]" for line in lines)


def _summary(file: str) -> str:
    head, *hunks = HUNK.split(file)
    lines = [line for hunk in hunks for line in hunk.split("\n")[1:]]
    added, gone = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    name = head.split("\n", 1)[0].removeprefix("diff --git ")
    path = name[len(name) // 2 + 1 :].removeprefix("b/")  # both sides are the same: renames are not detected
    what = next((w for w in ("new file", "deleted file", "Binary files") if f"\n{w}" in head), "")
    return f"{path} +{added} -{gone}" + (f" ({what})" if what else "")


async def commit_of(call: Call, revision: str) -> str:
    """The full id of a commit; ``base`` and ``HEAD`` are the op's base. Raises ``ToolError`` outside its history."""
    git, base = call.context.git, call.context.workspace.commit
    wanted = revision.replace("HEAD", base).replace("base", base)
    found = await git.call("rev-parse", "-q", "--verify", f"{wanted}^{{commit}}", ok=(0, 1, 128))
    if found.code == 0 and found.text:
        ancestor = await git.call("merge-base", "--is-ancestor", found.text, base, ok=(0, 1, 128))
        if ancestor.code == 0:
            return found.text
    raise ToolError(f"{revision} is no commit in the history of this op's base.", remedy="git_log lists them.")
