"""The parsing child: reads sources from standard input, returns a line of JSON for each.

A file that hangs or crashes a parser ends this process only; the parent sees by the number of lines which file it was.
Each source is a line ``LANGUAGE SIZE``, followed by ``SIZE`` bytes.
"""

from __future__ import annotations

import os
import resource
import sys

from tools.index.facts import IndexedFile, to_json
from tools.index.languages import PYTHON
from tools.index.python import read_python

MEMORY_BYTES = 2 * 1024**3
CPU_S = 30


def facts_of(language: str, data: bytes) -> IndexedFile:
    """Facts of one file: valid Python by ``ast``, everything else by its grammar."""
    whole = read_python(data) if language == PYTHON else IndexedFile()
    if language == PYTHON and not whole.error:
        return whole
    from tools.index.grammar import read_by_grammar

    return read_by_grammar(language, data, whole.error)


def _limit(kind: int, soft: int, hard: int) -> None:
    """Bound this process, by what it was started with where that is less."""
    kept = resource.getrlimit(kind)[1]
    if kept != resource.RLIM_INFINITY:
        soft, hard = min(soft, kept), min(hard, kept)
    resource.setrlimit(kind, (soft, hard))


def main(report: int, niceness: int) -> None:
    """Answer every source of standard input through the descriptor ``report``."""
    _limit(resource.RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, CPU_S, CPU_S + 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(niceness)
    with os.fdopen(report, "w", encoding="ascii", buffering=1) as answers:
        while header := sys.stdin.buffer.readline().split():
            language, size = header[0].decode("ascii"), int(header[1])
            answers.write(to_json(facts_of(language, sys.stdin.buffer.read(size))) + "\n")
