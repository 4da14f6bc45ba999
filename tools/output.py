"""Text for a model within a limit of bytes: head, tail, and a line that counts what is left out."""

from __future__ import annotations

HEAD_SHARE = 0.7


def cap(text: str, limit: int, *, rest: str = "ask for less to see the rest") -> str:
    """``text`` if it has at most ``limit`` UTF-8 bytes; else head, tail, and a line that counts the bytes between."""
    data = text.encode("utf-8", errors="replace")
    if len(data) <= limit:
        return data.decode("utf-8")
    room = limit - len(f"\n[... {len(data)} of {len(data)} bytes are left out: {rest} ...]\n".encode())
    head = data[: max(0, int(room * HEAD_SHARE))].decode("utf-8", errors="ignore")
    tail = data[len(data) - max(0, room - int(room * HEAD_SHARE)) :].decode("utf-8", errors="ignore")
    head = head[: head.rfind("\n")] if "\n" in head else head
    tail = tail[tail.find("\n") + 1 :] if "\n" in tail else tail
    left = len(data) - len(head.encode()) - len(tail.encode())
    return f"{head}\n[... {left} of {len(data)} bytes are left out: {rest} ...]\n{tail}"


def number_lines(lines: list[str], first: int) -> list[str]:
    """Lines with their numbers, aligned."""
    width = len(str(first + len(lines) - 1)) if lines else 1
    return [f"{first + offset:>{width}}| {line}" for offset, line in enumerate(lines)]
