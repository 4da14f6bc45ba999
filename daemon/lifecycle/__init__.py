"""Life cycle: set-up, start, one boot, recovery, stop."""
