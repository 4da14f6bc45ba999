"""The lines of the control socket: JSON-RPC 2.0, one object each, as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
REFUSED = -32000
BUSY = -32001
NO_TOKEN = -32002
PROTOCOL = 2  # 1 had no hello: who connected could do everything

HELLO = "hello"
SUBSCRIBE = "subscribe"
UNSUBSCRIBE = "unsubscribe"

RequestId = str | int | None


def request_line(identity: int, method: str, params: Mapping[str, object]) -> bytes:
    """A request that wants an answer."""
    return _line({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})


def result_line(identity: RequestId, result: object) -> bytes:
    """The answer to a request that was carried out."""
    return _line({"jsonrpc": "2.0", "id": identity, "result": result})


def error_line(identity: RequestId, code: int, message: str, **data: object) -> bytes:
    """The answer to a request that was not; ``data`` holds remedy, error and exit where there are such."""
    return _line({"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message, "data": data}})


def notification_line(method: str, params: Mapping[str, object]) -> bytes:
    """A message without an answer."""
    return _line({"jsonrpc": "2.0", "method": method, "params": params})


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"
