"""The control socket: its methods, its server, its client, and the answers that need no daemon."""
