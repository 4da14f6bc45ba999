"""Unix sockets of the host that a mount would show: to connect to one takes no more than to see it.

A read-only mount does not stop a connection, and no system-call filter can read the path that is given. So sockets that
are bound when a run begins are covered.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tools.sandbox.tree import Placed, Step

BOUND = Path("/proc/net/unix")
NOTHING = "/dev/null"


def covers(steps: Sequence[Placed], bound: Sequence[str]) -> tuple[Placed, ...]:
    """Further steps that cover the ``bound`` sockets which ``steps`` show."""
    if not bound:
        return ()
    shown = [(os.path.realpath(step.source), step) for step in steps if step.step in (Step.READ_ONLY, Step.WRITABLE)]
    found: dict[Path, None] = {}
    for path in _resolved(bound):
        for source, step in shown:
            if path == source or path.startswith(f"{source}/"):
                inside = step.target / os.path.relpath(path, source) if path != source else step.target
                if _seen_by(inside, steps) is step and _is_socket(path):
                    found[inside] = None
    return tuple(Placed(Step.READ_ONLY, NOTHING, inside) for inside in found)


def bound_sockets() -> tuple[str, ...]:
    """Absolute paths of the unix sockets that are bound in our network namespace."""
    lines = BOUND.read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]
    fields = (line.split(maxsplit=7) for line in lines)
    return tuple(dict.fromkeys(words[7] for words in fields if len(words) > 7 and words[7].startswith("/")))


def _resolved(paths: Iterable[str]) -> Iterator[str]:
    """Without links in their folders, of which there are few for many sockets."""
    folders: dict[str, str] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        yield f"{folders[folder]}/{name}"


def _seen_by(inside: Path, steps: Sequence[Placed]) -> Placed | None:
    """The step that decides what is seen at a place: the deepest one, and of two at one place the later."""
    over = [
        step
        for step in steps
        if step.step is not Step.SEAL and (step.target == inside or step.target in inside.parents)
    ]
    return max(reversed(over), key=lambda step: len(step.target.parts), default=None)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False
