"""Sentences for a person who asked for work: what a scan did not look at, what is at it already, what cannot be done.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from daemon.views.text import count

OURS = ".ouro/"


def uncommitted_notice(dirty: Collection[str], *, eager: bool) -> str:
    """What a look at a commit leaves out. Empty when nothing is: our own settings folder is no work of the owner's."""
    theirs = [path for path in dirty if not path.startswith(OURS)]
    if eager or not theirs:
        return ""
    has = "has" if len(theirs) == 1 else "have"
    return (
        f"{count(len(theirs), 'file')} {has} uncommitted changes, which are not looked at: commit them, or set "
        "test_failure.eager."
    )


def name_ops_of_duplicates(ops: Sequence[str]) -> str:
    """What becomes of a condition that was signalled before: the ``ops`` (short ids) that work on it, or the queue."""
    if not ops:
        return "The daemon has it in its queue already."
    return f"The daemon is at it already: {', '.join(f'op-{op}' for op in ops)}."


INFILL_ONLY = "the kernel fills in code where a test fails; it takes no goal in words"
