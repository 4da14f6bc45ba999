"""Files that are installed elsewhere: the pytest wake-up and the service unit."""
