"""Tools of MCP servers, with limits, next to the built-in ones. The SDK is imported with the first connection."""
