"""How many threads the kernel computes with.

How they wait for one another is read from the environment when torch is first imported, so it belongs to the owner of
the process: two threads that spin at a barrier fall to a fraction of their speed when a neighbour takes one of the
cores, and a neighbour is normal here, since tests run while the kernel thinks. With five other processes on two cores
an answer took nine times as long with spinning threads as with passive ones.
"""

from __future__ import annotations

import os


def thread_count(configured: int) -> int:
    """``configured``, or with 0 the cores that this process may use."""
    return configured or len(os.sched_getaffinity(0))
