"""The tree of settings, its layers, and the places that belong to a repository."""
