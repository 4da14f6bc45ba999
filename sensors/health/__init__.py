"""How the machine is, and the daemon on it: samples, levels with hysteresis, a score."""
