"""Fault localisation: ranking of suspicious lines."""
