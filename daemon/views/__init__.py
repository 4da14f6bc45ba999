"""Results and ledger entries as text for a terminal."""
