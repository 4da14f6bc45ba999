"""Implementations of the ports that other rooms declare."""
