"""How many threads the kernel computes with, and how they wait.

Two threads that spin at a barrier fall to a fraction of their speed when a neighbour takes one of the cores, and a
neighbour is normal here: tests run while the kernel thinks. With five other processes on two cores an answer took nine
times as long without this. The OpenMP runtime reads its policy when torch is first imported, and never again.
"""

from __future__ import annotations

import os
import sys


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


def before_torch(configured: int) -> None:
    """To be called before torch is imported for the first time; does nothing afterwards."""
    if "torch" not in sys.modules:
        os.environ.update(openmp_environment(configured))
