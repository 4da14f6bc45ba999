"""The chat-completions protocol as pure functions: request body, error messages and error classes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from kernel.canary import adjust_decoding
from kernel.provider import Limits, Message, ToolSchema
from kernel.providers.openai import SPEC
from ledger.errors import ProviderBadOutput, ProviderError, ProviderUnavailable
from ledger.parsers.json import read_json

PROVIDER: Final = SPEC.name
_MAX_MESSAGE: Final = 400
MOST_NATS: Final = 1e6
"""A token with a lower log-probability than minus this counts as one with it."""

JsonObject = dict[str, object]


def request_body(
    model: str, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits, *, logprobs: bool = False
) -> bytes:
    """The JSON request body."""
    body: JsonObject = {
        "messages": [_message(message) for message in conversation],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": limits.max_tokens,
        "temperature": limits.temperature,
        "top_p": limits.top_p,
    }
    if model:
        body["model"] = model
    if logprobs:
        body["logprobs"] = True
    if limits.caution_milli:  # the only repetition setting that all such servers support
        body["frequency_penalty"] = round(adjust_decoding(limits.caution_milli / 1000).repetition_penalty - 1.0, 2)
    if limits.seed is not None:
        body["seed"] = limits.seed
    if limits.stop:
        body["stop"] = list(limits.stop)
    if tools:
        body["tools"] = [{"type": "function", "function": tool.model_dump()} for tool in tools]
    # Escaped to ASCII: a lone surrogate in a file must not make the request impossible to encode.
    return json.dumps(body).encode("ascii")


def _message(message: Message) -> JsonObject:
    plain: JsonObject = {"role": message.role, "content": message.text}
    if message.role == "tool":
        plain["tool_call_id"] = message.call_id or ""
    if message.calls:
        plain["content"] = message.text or None
        plain["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
    return plain


def token_logprobs(logprobs: object) -> list[float]:
    """Log-probabilities (nats, at most 0) in a choice's ``logprobs`` object; empty for any other form."""
    rows = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    values = [row.get("logprob") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    # NaN is not itself; an integer may be larger than any float.
    return [float(max(min(n, 0), -MOST_NATS)) for n in values if isinstance(n, int | float) and n == n]


def one_line(text: str) -> str:
    """A server's message, made safe for a terminal and a log line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 8 * _MAX_MESSAGE]).split())
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """``Retry-After`` in seconds from ``now``; the header is a number or an HTTP date."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def error_message(body: str) -> str:
    """The message in an error body; the body itself when its form is unknown."""
    try:
        parsed = read_json(body)
    except ValueError:
        return body
    if not isinstance(parsed, Mapping):
        return body
    return error_text(parsed.get("error")) or error_text(parsed) or body


def error_text(error: object) -> str:
    """The message of an error object in any of the forms that servers use."""
    if isinstance(error, str):
        return error
    if isinstance(error, Mapping):
        for key in ("message", "detail"):
            if isinstance(text := error.get(key), str):
                return text
    return ""


def error_status(error: object) -> int:
    """The HTTP status of an error object inside a stream; 400 when it has none."""
    if not isinstance(error, Mapping):
        return 400
    for key in ("code", "status"):
        code = str(error.get(key))
        if re.fullmatch(r"[45][0-9]{2}", code):
            return int(code)
    word = f"{error.get('type')} {error.get('code')}".lower()
    if "rate_limit" in word:
        return 429
    return 500 if re.search(r"server_error|internal|overloaded|unavailable", word) else 400


def error_for_status(
    status: int,
    text: str,
    *,
    where: str,
    clean: Callable[[str], str],
    retry_s: float | None = None,
    key_name: str = "",
    unnamed: bool = False,
) -> ProviderError:
    """The error for an HTTP status. ``clean`` removes secrets from the server's message; ``unnamed``: the request named
    no model.
    """
    words = clean(text)
    message = f"{where} answered {status}{': ' + words if words else ''}."
    if status == 429:
        remedy = "Wait, or reduce the number of calls."
        kind = "rate_limited"
    elif status >= 500:
        remedy = "Check the server's log; the call may be repeated later."
        kind = "server"
    else:
        return ProviderBadOutput(message, provider=PROVIDER, remedy=_remedy(status, key_name, unnamed))
    return ProviderUnavailable(message, provider=PROVIDER, kind=kind, retry_after_s=retry_s, remedy=remedy)


def _remedy(status: int, key_name: str, unnamed: bool) -> str:
    if status in (401, 403):
        where = f"the environment variable {key_name}" if key_name else "key_variable"
        return f"Put a valid API key into {where}." if key_name else f"Name the variable with the API key in {where}."
    if unnamed and status in (400, 404, 422):
        return "Set kernel.openai.model: no model was named, and this server has several."
    if status == 404 or 300 <= status < 400:
        return "Check base_url (it usually ends in /v1) and the model's name."
    return "Check the model's name and what the server supports."
