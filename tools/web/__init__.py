"""Reading the web: what an address may be, where a connection really goes, how much is taken, and its text."""
