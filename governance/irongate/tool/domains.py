"""Rung 4 of the tool policy: hosts that a web tool may contact, compared by components, never by substring. Pure.

``docs.python.org`` allows that host alone, ``*.example.org`` every subdomain but not ``example.org``; both allow ports
80 and 443, ``name:8080`` that port alone. A host in a private network must be listed by its full name and port.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from tools.web.hosts import host_and_port

WEB_PORTS = frozenset({80, 443})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPattern:
    """One entry of the owner's list. ``below``: its subdomains are meant; ``port`` None: 80 and 443."""

    host: str
    below: bool
    port: int | None

    def admits(self, host: str, port: int, *, private: bool) -> bool:
        """Whether this entry allows a host and port. ``private``: the host's address is in a private network."""
        if private and (self.port is None or self.below):
            return False
        if port != self.port if self.port is not None else port not in WEB_PORTS:
            return False
        if self.below:
            return len(host) > len(self.host) + 1 and host.endswith(f".{self.host}")
        return host == self.host


def parse_pattern(text: str) -> HostPattern:
    """Parse an entry. Raises ``ValueError`` for one that is no host name or covers a whole top-level domain."""
    below = text.startswith("*.")
    host, port = host_and_port(text[2:] if below else text)
    if below and ("." not in host or host.replace(".", "").isdigit()):
        raise ValueError(f"{text!r} is too wide: at least two parts must follow the star")
    return HostPattern(host=host, below=below, port=port)


def _check(text: str) -> str:
    parse_pattern(text)
    return text


Domains = tuple[Annotated[str, AfterValidator(_check)], ...]


def refuse_hosts(hosts: Sequence[str], domains: Sequence[str], *, private: bool) -> str:
    """Why one of the hosts (``name:port``) may not be contacted; empty when all may."""
    patterns = [parse_pattern(text) for text in domains]
    for netloc in hosts:
        try:
            host, port = host_and_port(netloc)
        except ValueError as error:
            return f"{error}."
        if not any(pattern.admits(host, port or 443, private=private) for pattern in patterns):
            return _why(netloc, host, port or 443, patterns)
    return ""


def _why(netloc: str, host: str, port: int, patterns: Sequence[HostPattern]) -> str:
    shown = netloc[:80]
    if any(pattern.admits(host, port, private=False) for pattern in patterns):
        return f"{shown} leads into a private network; the owner has not listed it with its port."
    return f"the owner has not listed {shown} in tool_policy.domains."
