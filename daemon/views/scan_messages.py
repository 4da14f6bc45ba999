"""Messages about a scan that the owner requested: files that it left out, ops that work on its findings already, and
what the kernel cannot do. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from daemon.views.text import count

SETTINGS_FOLDER = ".ouro/"


def uncommitted_notice(dirty: Collection[str], *, eager: bool) -> str:
    """Notice of uncommitted files, which a scan of a commit leaves out; empty if there are none outside ``.ouro/``."""
    files = [path for path in dirty if not path.startswith(SETTINGS_FOLDER)]
    if eager or not files:
        return ""
    has = "has" if len(files) == 1 else "have"
    return (
        f"{count(len(files), 'file')} {has} uncommitted changes, which are not looked at: commit them, or set "
        "test_failure.eager."
    )


def duplicate_notice(ops: Sequence[str]) -> str:
    """Notice that a finding has a signal already: in the queue, or in the ``ops`` (short ids) that work on it."""
    if not ops:
        return "The daemon has it in its queue already."
    return f"The daemon is at it already: {', '.join(f'op-{op}' for op in ops)}."


INFILL_ONLY = "the kernel fills in code where a test fails; it takes no goal in words"
