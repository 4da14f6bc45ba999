"""What the daemon remembers of its own work: advice to the phases. It may raise caution and add context, no more."""
