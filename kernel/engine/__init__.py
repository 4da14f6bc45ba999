"""Looped decoders in plain PyTorch: one model class for the Ouro family and for plain Llama and Qwen2 decoders."""
