"""The decoder: configuration, layers, matrix products, and passes through the loop with early exit."""
