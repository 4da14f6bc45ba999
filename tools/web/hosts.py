"""Canonical form of host names, and whether an address belongs to the public internet. Pure."""

from __future__ import annotations

import ipaddress
import re

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
LONGEST_NAME = 253
UNSURE = frozenset("\u00df\u03c2\u200c\u200d")
"""Characters that IDNA 2003 and IDNA 2008 encode differently: such names must be given as ``xn--``."""
NOT_PUBLIC = tuple(
    ipaddress.ip_network(net)
    for net in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)
"""Networks that some versions of Python wrongly call global, and the public address of Azure's host services."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def canonical_host(host: str) -> str:
    """``host`` as it is compared, resolved and sent: lower-case ASCII (IDNA), an IP address in its usual form.

    Raises ``ValueError`` for invalid names and unusual spellings of an address (``2130706433``, ``0x7f.1``, ``127.1``).
    """
    if ":" in host:
        return str(ipaddress.IPv6Address(host)) if "%" not in host else _no(host)
    if UNSURE & set(host) or len(host) > LONGEST_NAME:
        return _no(host)
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return _no(host)
    labels = name.split(".")
    if NUMBER.fullmatch(labels[-1]):  # browsers and C libraries would read it as an address
        return str(ipaddress.IPv4Address(name))
    if len(name) > LONGEST_NAME or not all(LABEL.fullmatch(label) for label in labels):
        return _no(host)
    return name


def _no(host: str) -> str:
    raise ValueError(f"{host[:60]!r} is not the name of a machine")


def host_and_port(netloc: str) -> tuple[str, int | None]:
    """Split ``name:8080`` or ``[::1]:8080``; the host in canonical form, port None if absent. Raises ``ValueError``."""
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::([0-9]{1,5}))?", netloc)
    plain = re.fullmatch(r"([^:\[\]]+)(?::([0-9]{1,5}))?", netloc)
    match = bracketed or plain
    if match is None or (bracketed and ":" not in bracketed[1]):
        raise ValueError(f"{netloc[:60]!r} is not a host with or without a port")
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port < 65_536:
        raise ValueError(f"{port} is not a port")
    return canonical_host(match[1]), port


def join_host(host: str, port: int) -> str:
    """``name:80``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_public(address: str) -> bool:
    """False for loopback, private, link-local, metadata and reserved ranges, also when embedded in an IPv6 address."""
    return _public(ipaddress.ip_address(address.partition("%")[0])) and "%" not in address


def _public(ip: IP) -> bool:
    inner = _inside(ip)
    if inner is not None:
        return _public(inner)
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    return not any(ip in net for net in NOT_PUBLIC if net.version == ip.version)


def _inside(ip: IP) -> ipaddress.IPv4Address | None:
    """The IPv4 address embedded in an IPv6 address (NAT64, mapped, 6to4); None without one."""
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
