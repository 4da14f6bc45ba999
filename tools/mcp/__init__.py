"""Tools of MCP servers: connected, bounded and offered beside the built-in ones. The SDK is loaded with the first."""
