"""Reading a shell command: what it would run, what it would write, and what about it cannot be told beforehand."""
