"""The code index: what files define, call and import, remembered by the contents of the file."""
