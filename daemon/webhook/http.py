"""Reads one HTTP request from a connection: h11 parses the head; the body has a known and bounded length.

A body without ``Content-Length`` is refused unread: a stranger could send one-byte chunks, which are cheap to send and
costly to parse, and no sender of webhooks needs chunks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h11

HEAD_BYTES = 16 * 1024
LINGER_S = 1.0
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is refused. The sender sees the status only; the rule and the reason go to the ledger."""

    status: HTTPStatus
    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """Method, path (without its query) and headers, names in lower case; ``length`` of the body in bytes."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    length: int = 0

    def header(self, name: str) -> str:
        """The value of a header; empty when it is missing or occurs twice."""
        found = [value for key, value in self.headers if key == name]
        return found[0] if len(found) == 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A whole request."""

    head: RequestHead
    body: bytes = field(repr=False)


Admit = Callable[[RequestHead], Refusal | None]


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, admit: Admit, body_bytes: int
) -> HttpRequest | Refusal | None:
    """The request, a refusal, or None when the client sent nothing.

    ``admit`` checks the head before the body is read. There is no time limit here: the caller sets one.
    """
    import h11

    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    try:
        event = await _next_event(parser, reader)
        if not isinstance(event, h11.Request):
            return None
        head = _parse_head(event)
        refusal = admit(head) or _check_length(head, body_bytes)
        if refusal is not None:
            return refusal
        if parser.they_are_waiting_for_100_continue:
            writer.write(parser.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        body = await _read_body(parser, reader)
    except h11.RemoteProtocolError as error:
        status = (
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if error.error_status_hint == 431 else HTTPStatus.BAD_REQUEST
        )
        return Refusal(status=status, rule="http.malformed", reason=f"This is no HTTP request: {error}.")
    return HttpRequest(head=head, body=body)


async def _next_event(parser: h11.Connection, reader: asyncio.StreamReader) -> h11.Event | None:
    """The next event; None when data follows the first request (h11 then pauses)."""
    import h11

    while (event := parser.next_event()) is h11.NEED_DATA:
        parser.receive_data(await reader.read(_CHUNK))
    return event if isinstance(event, h11.Event) else None


async def _read_body(parser: h11.Connection, reader: asyncio.StreamReader) -> bytes:
    """The whole body, whose length was checked before."""
    import h11

    body = bytearray()
    while isinstance(event := await _next_event(parser, reader), h11.Data):
        body += event.data
    return bytes(body)


def _parse_head(request: h11.Request) -> RequestHead:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
    path = request.target.decode("latin-1").partition("?")[0]
    lengths = [value for name, value in headers if name == "content-length"]
    length = int(lengths[0]) if lengths else -1  # h11 has checked that they are digits and equal
    return RequestHead(method=request.method.decode("latin-1"), path=path, headers=headers, length=length)


def _check_length(head: RequestHead, body_bytes: int) -> Refusal | None:
    if head.length < 0 or any(name == "transfer-encoding" for name, _ in head.headers):
        why = "The request has no Content-Length."
        return Refusal(status=HTTPStatus.LENGTH_REQUIRED, rule="http.length", reason=why)
    if head.length > body_bytes:
        why = f"The body has {head.length} bytes; at most {body_bytes} are allowed."
        return Refusal(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, rule="http.body", reason=why)
    return None


def status_response(status: HTTPStatus) -> bytes:
    """A response that has a status and no body."""
    return f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


async def linger(reader: asyncio.StreamReader) -> None:
    """Read and discard for :data:`LINGER_S`: closing with unread bytes would lose the response (TCP reset)."""
    try:
        async with asyncio.timeout(LINGER_S):
            while await reader.read(_CHUNK):
                pass
    except (TimeoutError, ConnectionError):
        return
