"""The loop that closes: what was claimed, what came of it, and how far to trust the next claim of that kind."""
