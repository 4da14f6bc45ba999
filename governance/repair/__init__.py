"""Repair: how a weak kernel converges because of what is wrapped around it."""
