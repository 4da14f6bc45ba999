"""Detection and redaction of keys and passwords."""
