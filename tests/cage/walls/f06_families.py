"""A test makes a socket of a kind that no network namespace covers: vsock reaches the machine's own ports."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.confined import box_of, told
from tests.tools.sandbox.filters import without
from tests.tools.sandbox.test_landlock_walls import WithSockets
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.seccomp import NAMESPACED

MAKING = """
import json, socket
kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
covered = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
wanted = [(family, 0) for family in range(64) if family not in covered]
wanted += [(socket.AF_NETLINK, protocol) for protocol in range(1, 32)]
wanted += [(socket.AF_INET, protocol) for protocol in (33, 115, 132, 136, 262)]
made = set()
for family, protocol in wanted:
    for kind in kinds:
        try:
            with socket.socket(family, kind, protocol) as one:
                made.add(f"family {family} protocol {protocol}")
                if family == socket.AF_VSOCK:
                    one.bind((socket.VMADDR_CID_ANY, 4711))
                    one.listen()
                    made.add("listens on vsock")
        except OSError:
            continue
    for kind in kinds:
        try:
            for one in socket.socketpair(family, kind, protocol):
                one.close()
            made.add(f"pair of family {family}")
        except OSError:
            continue
print(json.dumps(sorted(made)))
"""


class Open(Bwrap):
    def filter(self) -> bytes | None:
        return without(NAMESPACED, "socket", "socketpair")


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """Every family of sockets, every kind, and protocols of the internet and of netlink that nobody needs."""
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=Open, landlock=WithSockets)
    return [str(made) for made in await told(box, base, MAKING)]
