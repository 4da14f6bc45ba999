"""Commits of ours that stand in a branch although the daemon ended before it could write that down."""

from __future__ import annotations

from typing import NamedTuple

from tools.git import Git


class Standing(NamedTuple):
    """A commit, and a branch (full name) that holds it."""

    commit: str
    ref: str


async def commit_with(git: Git, trailer: str, op_id: str, *, since: str, meant: str = "") -> Standing | None:
    """The newest commit after ``since`` whose trailer names the op, on any branch; ``meant`` is preferred."""
    after = (f"^{since}",) if since else ()
    done = await git.call(
        "log", "-n", "1", "--format=%H", f"--grep=^{trailer}: {op_id}$", "--branches", *after, ok=(0, 128)
    )
    if not done.text:
        return None
    held = await git.call("for-each-ref", "--format=%(refname)", "--contains", done.text, "refs/heads")
    refs = held.text.split()
    return Standing(done.text, meant if meant in refs else refs[0])
