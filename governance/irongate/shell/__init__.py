"""Reading a shell command: what it would run, what it would write, and what is unknown before it runs."""
