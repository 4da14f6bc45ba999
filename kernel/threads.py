"""How many threads the kernel computes with, and how they wait.

Two threads that spin at a barrier fall to a fraction of their speed when a neighbour takes one of the cores, and a
neighbour is normal here: tests run while the kernel thinks. The waiting policy is read by the OpenMP runtime when torch
is first imported, so whoever owns the process puts ``openmp_environment()`` into the environment before that.
"""

from __future__ import annotations

import os


def thread_count(configured: int) -> int:
    """``configured``, or with 0 the cores that this process may use."""
    return configured or len(os.sched_getaffinity(0))


def openmp_environment(configured: int) -> dict[str, str]:
    """Variables for the process that will import torch: passive waiting, and the thread count."""
    return {
        "OMP_NUM_THREADS": str(thread_count(configured)),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "KMP_BLOCKTIME": "0",
    }
