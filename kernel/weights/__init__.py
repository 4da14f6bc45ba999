"""Published weights: where they come from, how they are fetched, and the form they are loaded in."""
