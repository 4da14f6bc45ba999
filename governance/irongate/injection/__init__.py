"""Detection of prompt injection, and text folding."""
