"""The code index: definitions, calls and imports of source files, cached by file content."""
