"""From the report of an untrusted test process to a verdict."""
