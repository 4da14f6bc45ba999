"""Keys and values: storage, prompt prefill, and batches of rows that share a prefix."""
