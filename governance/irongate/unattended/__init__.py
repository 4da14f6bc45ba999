"""What a change may consist of that lands with nobody there: the parts of gate 20."""
