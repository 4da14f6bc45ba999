"""Search-based repair: localise, fill holes, test, rank, and continue from partial repairs."""
