"""The webhook endpoint: signed, bounded deliveries of other machines, treated as data only."""
