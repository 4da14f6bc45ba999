"""What torch has no quick operation for, compiled at load by numba for the processor that is there.

Imported when a model with quantised weights is loaded, never before: numba and LLVM take a second and some memory.
"""
