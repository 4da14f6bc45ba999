"""The parts of gate 20: constructs that an unattended change may consist of."""
