"""The owner's tests, run by the owner's interpreter, in a sandbox, on an isolated copy. Only complete reports count."""
