"""Published weights: sources, download, and conversion to the form that the engine loads."""
