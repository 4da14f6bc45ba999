"""The bytes of a command under its syntax tree: nothing that bash would read may lie between two nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from governance.irongate.shell.words import Unreadable

if TYPE_CHECKING:
    from tree_sitter import Node

_META = frozenset(b";&|()<>\n")
_BEHIND = frozenset({"|", "|&", "&&", "||"})
"""Operators that must be on the line of their left side."""


class NodeText:
    """Text of nodes, and the blanks between them."""

    def __init__(self, source: bytes) -> None:
        self.source = source

    def text(self, node: Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode()

    def blank(self, start: int, end: int, *, inline: bool = False) -> None:
        """Raise ``Unreadable`` for anything but blanks between two nodes. ``inline``: for a new line as well."""
        between = self.source[start:end]
        if between in (b"", b" ") or (between == b"\n" and not inline):
            return
        rest = between.replace(b"\\\n", b"")
        if rest.strip(b" \t" if inline else b" \t\n") or not rest:
            raise Unreadable(f"{between.decode(errors='replace').strip()!r} is not understood where it stands")

    def parts(self, node: Node, *, inline: bool = False, joint: bool = False) -> Iterator[Node]:
        """Children of a node; no byte of it lies outside of them.

        ``inline``: they are words of one line. Unless ``joint``, bash must see two children where there are two.
        """
        at, source = node.start_byte, self.source
        for child in node.children:
            start = child.start_byte
            if start != at:
                self.blank(at, start, inline=inline or child.type in _BEHIND)
            elif not joint and at > node.start_byte and start < child.end_byte and not _parted(source, at):
                raise Unreadable(f"{source[max(0, at - 20) : at + 20].decode(errors='replace')!r} is not understood")
            at = max(at, child.end_byte)
            if not child.is_named and source[start:at].decode(errors="replace") != child.type:
                raise Unreadable(f"{source[start:at].decode(errors='replace')!r} is not understood")
            yield child
        if at != node.end_byte:
            self.blank(at, node.end_byte, inline=inline)

    def clear(self, at: int, why: str) -> None:
        """Bash must see a border at a place where there is no blank."""
        if not _parted(self.source, at):
            raise Unreadable(why)


def _parted(source: bytes, at: int) -> bool:
    """Whether bash sees a border at a place where there is no blank."""
    return source[at - 1] in _META or source[at] in _META
