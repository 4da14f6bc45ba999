"""Risk of a change: the ladder of tiers, its blast radius, and what earlier outcomes foretell."""
