"""Deterministic rules that no model text can change. One gate a file; ``registry`` checks their examples at import."""
