"""Verification of a ledger file: chain, blobs, schema, signed heads."""
