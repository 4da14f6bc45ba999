"""The tool loop: one conversation of a few rounds with a model that may call tools."""
