"""Providers: the local model, chat-completions servers, scripts, and the re-prompt loop around a provider."""
