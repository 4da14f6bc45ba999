"""Web access for tools: URL validation, connections to checked addresses only, size limits, text extraction."""
