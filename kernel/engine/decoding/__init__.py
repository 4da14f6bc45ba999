"""Decoding: tokenizer, prompts, sampling, batched and speculative decoding."""
