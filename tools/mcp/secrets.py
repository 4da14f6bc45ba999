"""Secrets passed to MCP servers: read from the configured sources, and removed from whatever a server returns."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ledger.errors import ConfigError
from tools.mcp.settings import SecretSource, ServerSettings

Lookup = Callable[[str], str | None]
"""Returns a secret by the name of its environment variable."""

LONGEST = 8192
SHORTEST_SCRUBBED = 6  # shorter ones occur in ordinary text


def variables_for(settings: ServerSettings, lookup: Lookup) -> dict[str, str]:
    """The environment variables of a stdio server, those that are set."""
    found = ((name, lookup(name)) for name in settings.env)
    return {name: value for name, value in found if value is not None and "\0" not in value}


def headers_for(settings: ServerSettings, lookup: Lookup) -> dict[str, str]:
    """Headers with their values. Reads files. Raises ``ConfigError`` for a missing or invalid value."""
    return {name: source.prefix + _value(name, source, lookup) for name, source in settings.headers.items()}


def secrets_in(settings: ServerSettings, headers: Mapping[str, str]) -> tuple[str, ...]:
    """The secret strings of ``headers``: each value, with and without its prefix."""
    bare = (value.removeprefix(settings.headers[name].prefix) for name, value in headers.items())
    return (*headers.values(), *bare)


def _value(name: str, source: SecretSource, lookup: Lookup) -> str:
    value = _of_file(name, Path(source.file)) if source.file else lookup(source.variable)
    if value is None:
        raise ConfigError(
            f"The header {name} takes its value from {source.variable}, which is not set.",
            remedy="Set the variable for the daemon (a systemd user unit has its own environment).",
        )
    value = value.strip()
    if not value or not value.isprintable() or not value.isascii() or len(value) > LONGEST:
        raise ConfigError(f"The value of the header {name} is not one line of text.", remedy="Look at where it lies.")
    return value


def _of_file(name: str, path: Path) -> str:
    try:
        # non-blocking: a FIFO in the file's place must not hold the reader
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{path}, for the header {name}, is not a file.", remedy="Name a plain file.")
            if mode & 0o077:
                raise ConfigError(f"{path}, for the header {name}, is open to others.", remedy=f"chmod 600 {path}")
            return os.read(fd, LONGEST + 1).decode("utf-8", errors="replace")
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigError(
            f"{path}, for the header {name}, cannot be read: {error.strerror}.", remedy="Look at the setting."
        ) from error


def scrub(text: str, secrets: Iterable[str]) -> str:
    """``text`` with each of ``secrets`` replaced: a server may echo them."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SCRUBBED:
            text = text.replace(secret, "[secret]")
    return text
