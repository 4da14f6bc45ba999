"""The model that runs in this process: loading, batching, decoding. torch is imported inside functions only."""
