"""Rung 4 of the ladder: which machines a web tool may ask. Judged by components of the name, never by substring. Pure.

``docs.python.org`` is that machine alone, ``*.example.org`` every one below it (not itself), both at the web's own
ports; ``name:8080`` is one port. What leads into a private network must be listed by its whole name and its port.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from tools.web.hosts import host_and_port

WEB_PORTS = frozenset({80, 443})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One entry of the owner's list. ``port`` None: the web's own."""

    host: str
    below: bool
    port: int | None

    def admits(self, host: str, port: int, *, private: bool) -> bool:
        """True when this entry allows that machine."""
        if private and (self.port is None or self.below):
            return False
        if port != self.port if self.port is not None else port not in WEB_PORTS:
            return False
        if self.below:
            return len(host) > len(self.host) + 1 and host.endswith(f".{self.host}")
        return host == self.host


def pattern_of(text: str) -> Pattern:
    """Read an entry. Raises ``ValueError`` for one that names no machine, or whole top-level domains."""
    below = text.startswith("*.")
    host, port = host_and_port(text[2:] if below else text)
    if below and ("." not in host or host.replace(".", "").isdigit()):
        raise ValueError(f"{text!r} is too wide: at least two parts must follow the star")
    return Pattern(host=host, below=below, port=port)


def _checked(text: str) -> str:
    pattern_of(text)
    return text


Domains = tuple[Annotated[str, AfterValidator(_checked)], ...]


def refusal(hosts: Sequence[str], domains: Sequence[str], *, private: bool) -> str:
    """Why a machine (``name:port``) may not be asked; empty when all may."""
    patterns = [pattern_of(text) for text in domains]
    for netloc in hosts:
        try:
            host, port = host_and_port(netloc)
        except ValueError as error:
            return f"{error}."
        if not any(pattern.admits(host, port or 443, private=private) for pattern in patterns):
            return _why(netloc, host, port or 443, patterns)
    return ""


def _why(netloc: str, host: str, port: int, patterns: Sequence[Pattern]) -> str:
    shown = netloc[:80]
    if any(pattern.admits(host, port, private=False) for pattern in patterns):
        return f"{shown} leads into a private network; the owner has not listed it with its port."
    return f"the owner has not listed {shown} in tool_policy.domains."
