"""Rules about test code: what a change to it may do, and what a test proves."""
