"""Kernels compiled by numba for this processor, for operations that torch has no fast version of.

``functions`` and ``layers`` are imported when a model with quantised weights is loaded, never earlier: numba and LLVM
take a second to import, and memory. The constants below are shared by the compiled functions and their callers.
"""

from __future__ import annotations

# Input transforms that a kernel applies to a row of states before it quantises it: ``kernel.engine.model.products``.
AS_IS, NORMED, GATED = 0, 1, 2
