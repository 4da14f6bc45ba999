"""Sentences for a person who asked for work: what a scan did not look at, what is at it already, what cannot be done.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from daemon.views.text import count

OURS = ".ouro/"
_DUPLICATE = re.compile(r"duplicate: The same condition is already \w+\.")


def not_looked_at(dirty: Collection[str], *, eager: bool) -> str:
    """What a look at a commit leaves out. Empty when nothing is: our own settings folder is no work of the owner's."""
    theirs = [path for path in dirty if not path.startswith(OURS)]
    if eager or not theirs:
        return ""
    has = "has" if len(theirs) == 1 else "have"
    return (
        f"{count(len(theirs), 'file')} {has} uncommitted changes, which are not looked at: commit them, or set "
        "test_failure.eager."
    )


def at_it_already(message: str, ops: Sequence[str]) -> str:
    """``message`` of a scan with the intake's word for a duplicate replaced; ``ops`` are short ids."""
    if not _DUPLICATE.search(message):
        return message
    where = f"The daemon is at it already: {', '.join(f'op-{op}' for op in ops)}."
    seen = " ".join(_DUPLICATE.sub("", message).split())
    return f"{seen} {where if ops else 'The daemon has it in its queue already.'}"


ONLY_FILLS = "the kernel fills in code where a test fails; it takes no goal in words"
