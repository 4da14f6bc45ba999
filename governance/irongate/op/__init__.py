"""Gates about ops, requests and deliveries: money, time, locks, signatures, repetition."""
