"""Talks to the service manager: the sd_notify protocol over a datagram socket, nothing else needed."""

from __future__ import annotations

import socket


class Notifier:
    """Sends state lines to the address of ``NOTIFY_SOCKET``; without an address every call does nothing.

    ``watchdog_s`` is the interval in which the manager expects :meth:`watchdog`; None when it expects none. Call it
    from the event loop itself, at half that interval: a ping from a thread would hide a stuck loop.
    """

    def __init__(self, address: str | None, *, watchdog_s: float | None = None) -> None:
        self._address = _resolve(address)
        self.watchdog_s = watchdog_s if self._address else None

    def ready(self, status: str = "") -> bool:
        return self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, text: str) -> bool:
        return self._send(f"STATUS={_line(text)}")

    def watchdog(self) -> bool:
        return self._send("WATCHDOG=1")

    def stopping(self, status: str = "") -> bool:
        return self._send("STOPPING=1", f"STATUS={_line(status)}")

    def _send(self, *lines: str) -> bool:
        """True when the datagram was handed over. A manager that went away is no reason to fail."""
        if self._address is None:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as channel:
            try:
                channel.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return False
        return True


def _resolve(address: str | None) -> str | None:
    """A path, or an abstract name whose leading ``@`` means NUL; anything else is not ours to use."""
    if not address or address[0] not in "/@":
        return None
    return "\0" + address[1:] if address[0] == "@" else address


def _line(text: str) -> str:
    return " ".join(text.split())
