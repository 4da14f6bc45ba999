"""Numbers by which the compiled functions and those who call them mean the same; known without loading numba."""

AS_IS, NORMED, GATED = 0, 1, 2  # what is done to a row of states before it is quantised: ``kernel.loop.fronts``
