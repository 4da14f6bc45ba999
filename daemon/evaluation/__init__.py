"""What the daemon is worth, measured on tasks with a known answer: ``ouro bench``."""
