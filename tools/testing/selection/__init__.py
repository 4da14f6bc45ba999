"""Which files are tests, and which tests a change can affect."""
