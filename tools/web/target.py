"""Destination of a request. A URL is parsed once; the result is checked, resolved and requested. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from ledger.errors import ToolError
from tools.web.hosts import canonical_host, join_host

PORTS = {"http": 80, "https": 443}
LONGEST = 2_000
SAFE = "!$%&'()*+,-./:;=?@_~[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebTarget:
    """``host`` in canonical form; ``path`` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """Host and port, the form that the policy checks."""
        return join_host(self.host, self.port)

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == PORTS[self.scheme] else self.netloc

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    def at(self, address: str) -> str:
        """The URL with an IP address in place of the host name."""
        return f"{self.scheme}://{join_host(address, self.port)}{self.path}"


def target_of(url: str, base: WebTarget | None = None) -> WebTarget:
    """Parse a URL, relative to ``base`` for a redirect. Raises ``ToolError`` for unsupported or ambiguous ones."""
    if len(url) > LONGEST or any(char <= " " or char in "\\\x7f" for char in url):
        raise ToolError("The address is too long, or holds blanks, control characters or backslashes.")
    try:
        parts = urlsplit(urljoin(base.url, url) if base else url)
        port = parts.port
        if parts.scheme not in PORTS:
            raise ToolError("Only http and https addresses can be fetched.")
        if "@" in parts.netloc or "%" in parts.netloc:
            raise ToolError("An address may hold no user name, no password and no percent signs before its path.")
        host = canonical_host(parts.hostname or "")
    except ValueError as error:
        raise ToolError(f"This is no address that can be fetched: {error}.") from error
    if port == 0:
        raise ToolError("Port 0 is no port.")
    path = quote(parts.path or "/", safe=SAFE) + (f"?{quote(parts.query, safe=SAFE)}" if parts.query else "")
    return WebTarget(scheme=parts.scheme, host=host, port=port or PORTS[parts.scheme], path=path)
