"""Readers of the ledger: ops, verification, replay."""
