"""The inference engine in plain PyTorch: looped decoders of the Ouro family, and Llama and Qwen2 decoders."""
