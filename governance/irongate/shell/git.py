"""git: reading is allowed; making history, moving files and other settings or repositories are not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from governance.irongate.shell.words import Unreadable, Word
from governance.irongate.tables import word_set

READS = word_set(
    """
    status log diff show blame annotate grep ls-files ls-tree cat-file rev-parse rev-list describe shortlog merge-base
    name-rev check-ignore check-attr for-each-ref count-objects whatchanged range-diff diff-tree diff-files diff-index
    help version show-ref show-branch cherry var check-mailmap ls-attr patch-id stripspace
    """
)
"""Commands that only read."""
LISTS: Mapping[str, frozenset[str]] = {
    "branch": frozenset({"--list", "-l", "--contains", "--merged"}),
    "tag": frozenset({"--list", "-l", "--contains", "--merged"}),
    "stash": frozenset({"list"}),
    "reflog": frozenset({"show"}),
    "worktree": frozenset({"list"}),
    "config": frozenset({"--get", "--get-all", "--list", "-l", "--get-regexp"}),
}
"""Commands that only read when the next word is one of these."""
ALONE: Mapping[str, frozenset[str]] = {
    "branch": frozenset({"-a", "--all", "-r", "--remotes", "-v", "-vv", "--show-current"}),
    "tag": frozenset(),
    "remote": frozenset({"-v", "--verbose"}),
    "reflog": frozenset(),
}
"""Commands that only read when no other words follow: ``git branch -v x`` makes a branch."""
GLOBAL = frozenset({"--no-pager", "-P", "--no-optional-locks", "--literal-pathspecs", "--no-replace-objects"})
NETWORK = word_set(
    """
    fetch pull push clone ls-remote submodule fetch-pack send-pack archive send-email request-pull svn p4 lfs
    remote-http remote-https daemon http-backend instaweb imap-send credential
    """
)
RUNS = word_set("--ext-diff --textconv --open-files-in-pager --output --exec --upload-pack --receive-pack --filters")


def judge(words: tuple[Word, ...]) -> tuple[str, str] | None:
    """(rule, reason) where a git command does more than read. Raises ``Unreadable`` where that is unknown."""
    at = 1
    while at < len(words):
        text = words[at].text
        if text is None:
            raise Unreadable(f"git's command is only known when it runs: {words[at].raw[:60]}")
        if text in ("--version", "--help", "-h", "-v"):
            return None
        if text not in GLOBAL:
            break
        at += 1
    if at >= len(words):
        return None
    command = words[at].text or ""
    if command.startswith("-"):
        return "git_history", f"git {command.partition('=')[0]} makes git work elsewhere or with other settings"
    if command in NETWORK:
        return "network", f"git {command} asks other machines"
    rest = words[at + 1 :]
    if command in LISTS or command in ALONE:
        if _lists(command, rest):
            return None
    elif command in READS and not any(_runs(command, word) for word in rest):
        return None
    return "git_history", f"git {command} changes history, files or settings, or runs another program"


def _lists(command: str, rest: tuple[Word, ...]) -> bool:
    """Whether a command that can do more is only asked to show what there is."""
    alone = ALONE.get(command)
    if alone is not None and all(word.text in alone for word in rest):
        return True
    first, shows = rest[0].text if rest else None, LISTS.get(command, frozenset())
    options = [word for word in rest if word.text is None or word.text.startswith("-")]
    if command in ("stash", "worktree"):
        return first in shows and not any(_runs(command, word) for word in options)
    return first in shows and all(word.text in shows | (alone or frozenset()) for word in options)


def _runs(command: str, word: Word) -> bool:
    """An option that runs a program or writes a file, shortened or not."""
    if word.text is None:
        return word.braced or word.raw.startswith("-")
    name = word.text.partition("=")[0]
    if command == "grep" and re.match(r"-[a-zA-Z0-9]*O", word.text):
        return True
    if command == "cat-file" and name.startswith("--batch"):
        return False
    return len(name) > 3 and name.startswith("--") and any(long.startswith(name) for long in RUNS)
