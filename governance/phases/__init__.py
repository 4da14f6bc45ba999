"""The eleven phases, one file each. A phase gets the frozen op and returns a result; it never changes the state."""
