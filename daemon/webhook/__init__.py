"""The webhook endpoint: what other machines tell the daemon, signed, bounded, and never more than data."""
