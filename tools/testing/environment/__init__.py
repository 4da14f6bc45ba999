"""The Python environment of the tests: detection, ownership, layout, and what of it is mounted."""
