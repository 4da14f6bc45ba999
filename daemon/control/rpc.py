"""JSON-RPC 2.0 as values: a line becomes a request, and a request an answer. No socket in here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from daemon.control.messages import EventsRequest
from daemon.control.table import METHODS, ControlApi
from daemon.control.token import Token
from daemon.control.wire import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NO_TOKEN,
    PARSE_ERROR,
    PROTOCOL,
    REFUSED,
    SUBSCRIBE,
    RequestId,
    error_line,
    result_line,
)
from daemon.exit_codes import Exit, exit_for_error
from daemon.lifecycle.logs import logger
from ledger.errors import ControlError, OuroError
from ledger.faults import machine_fault
from ledger.parsers.json import read_json
from ledger.vocabulary import Frozen

LONGEST_ID = 200


class Unsubscribe(Frozen):
    subscription: int


class Hello(Frozen):
    """The first request of a client. Without a ``token`` only methods that need none are answered."""

    protocol: int
    token: str = Field(default="", max_length=200, repr=False)


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One valid request. ``silent`` is a notification: it is carried out and not answered."""

    id: RequestId
    method: str
    params: Mapping[str, Any]
    silent: bool = False


class BadRequest(Exception):
    """A line that is not a valid request; ``line`` is the answer to send."""

    def __init__(self, line: bytes) -> None:
        super().__init__(line)
        self.line = line


def parse(line: bytes) -> RpcRequest:
    """One line as a request. Raises ``BadRequest`` that carries the answer."""
    try:
        value = read_json(line)
    except ValueError:
        raise BadRequest(error_line(None, PARSE_ERROR, "The line is not valid JSON.")) from None
    if not isinstance(value, dict):
        what = "Batches are not supported" if isinstance(value, list) else "A request is a JSON object"
        raise BadRequest(error_line(None, INVALID_REQUEST, f"{what}: send one object a line."))
    identity, method, params = value.get("id"), value.get("method"), value.get("params", {})
    if isinstance(identity, str) and len(identity) > LONGEST_ID:
        raise BadRequest(error_line(None, INVALID_REQUEST, f"An id has {LONGEST_ID} characters at most."))
    if isinstance(identity, bool) or not isinstance(identity, str | int | None):
        raise BadRequest(error_line(None, INVALID_REQUEST, "An id is a string or a whole number."))
    if value.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise BadRequest(error_line(identity, INVALID_REQUEST, 'A request needs "jsonrpc": "2.0" and a method name.'))
    if not isinstance(params, dict):
        raise BadRequest(error_line(identity, INVALID_PARAMS, "Parameters are given by name, as an object."))
    return RpcRequest(identity, method, params, silent="id" not in value)


async def answer(api: ControlApi, request: RpcRequest) -> bytes:
    """Carry a request out. Every error becomes an answer: this is the boundary of a control request."""
    method = METHODS.get(request.method)
    if method is None:
        return error_line(
            request.id,
            METHOD_NOT_FOUND,
            f"There is no method {request.method[:LONGEST_ID]!r}.",
            remedy="Methods: " + ", ".join(METHODS),
        )
    try:
        return result_line(request.id, (await method.call(api, method.read(request.params))).model_dump(mode="json"))
    except Exception as error:  # noqa: BLE001 - the boundary of a control request: whatever is thrown is answered
        return failure_line(request, error)


def failure_line(request: RpcRequest, error: Exception) -> bytes:
    """The answer that reports ``error``; details that stay inside the daemon are logged."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "parameters"
        return error_line(request.id, INVALID_PARAMS, f"{request.method}: {where}: {first['msg']}.")
    if isinstance(error, OSError):
        logger("control").error("request failed", method=request.method, exc_info=error)
        error = machine_fault(error)
    if isinstance(error, OuroError):
        code = error.code if isinstance(error, ControlError) else REFUSED
        return error_line(
            request.id,
            code,
            error.message,
            remedy=error.remedy,
            error=type(error).__name__,
            exit=int(exit_for_error(error)),
        )
    logger("control").error("request failed", method=request.method, exc_info=error)
    text = f"{request.method} failed inside the daemon ({type(error).__name__})."
    return error_line(request.id, INTERNAL_ERROR, text, remedy="The daemon's log holds the trace.")


def subscription_request(request: RpcRequest) -> EventsRequest | Unsubscribe:
    """Checked parameters of ``subscribe`` or ``unsubscribe``. Raises ``ValidationError``."""
    model = EventsRequest if request.method == SUBSCRIBE else Unsubscribe
    return model.model_validate_json(json.dumps(request.params))


def greeting(request: RpcRequest, token: Token) -> tuple[bytes, bool]:
    """The answer to ``hello``, and whether its client has shown the token."""
    try:
        hello = Hello.model_validate_json(json.dumps(request.params))
    except ValidationError as error:
        return failure_line(request, error), False
    if hello.protocol != PROTOCOL:
        text = f"The command speaks protocol {hello.protocol} of the control socket, this daemon {PROTOCOL}."
        remedy = "Use the `ouro` of the daemon's own version, or restart the daemon with the new one."
        return error_line(request.id, REFUSED, text, remedy=remedy, exit=int(Exit.USAGE)), False
    trusted = token.matches(hello.token)
    if hello.token and not trusted:
        text = "The control token that was shown is not the one of this daemon."
        remedy = "If it has just been restarted, ask again; else restart it, which makes a new token."
        return error_line(request.id, NO_TOKEN, text, remedy=remedy, exit=int(Exit.REFUSED)), False
    return result_line(request.id, {"protocol": PROTOCOL, "trusted": trusted}), trusted


def without_token(request: RpcRequest) -> bytes:
    """The answer to a request that needs the token from a client that has not shown it."""
    return error_line(
        request.id,
        NO_TOKEN,
        f"{request.method!r} needs the control token, which was not shown.",
        remedy="Use the `ouro` of the daemon's own version, as its owner: it reads the token in the state folder. "
        "Where that has none, restart the daemon, which makes one.",
        exit=int(Exit.REFUSED),
    )
