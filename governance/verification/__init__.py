"""Proof of a change: test runs against a baseline, code that tests reach, closure checks, evidence."""
