"""Exchanges of a conversation so far, how they become a prompt, and how a long history is shortened by rules. Pure.

The opening (rules, goal, context) and the text repeated each round are not part of it: compaction spares them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from governance.conversation import protocol
from kernel.provider import Message, ToolCall
from ledger.parsers.json import read_json

NOTHING = "(no text)"
SHOWN_TOOLS = 20
ODD = re.compile(r"[^\w-]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """``system``: rules and answer formats; ``user``: goal and context; ``standing``: rules and goal for each round."""

    system: str
    user: str
    standing: str


@dataclass(frozen=True, slots=True)
class QuotedResult:
    """A call and its result, quoted."""

    call: ToolCall
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One turn of the model and the reply: results, a remark on its text, a nudge."""

    text: str = ""
    results: tuple[QuotedResult, ...] = ()
    remark: str = ""
    nudge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All exchanges, oldest first. ``dropped``: removed results by tool; ``dropped_chars``: their total length."""

    exchanges: tuple[Exchange, ...] = ()
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_chars: int = 0

    def plus(self, exchange: Exchange) -> History:
        """The history with one more exchange."""
        return History(exchanges=(*self.exchanges, exchange), dropped=self.dropped, dropped_chars=self.dropped_chars)

    @property
    def results(self) -> tuple[QuotedResult, ...]:
        """Every result that is still present, oldest first."""
        return tuple(result for exchange in self.exchanges for result in exchange.results)

    @property
    def left_out(self) -> str:
        """The line that counts removed results; empty when there are none."""
        if not self.dropped_chars and not self.dropped:
            return ""
        tools = ", ".join(f"{name} {number}" for name, number in self.dropped.most_common(SHOWN_TOOLS))
        return (
            f"[{self.dropped.total()} earlier results are left out here ({tools or 'none'}; {self.dropped_chars} "
            "characters). Call again for what you still need.]"
        )


def as_messages(opening: Opening, history: History, *, number: int, rounds: int, final: str = "") -> list[Message]:
    """The prompt for a provider with native tool calls. ``final``: the last nudge."""
    said = [Message(role="system", text=opening.system), Message(role="user", text=opening.user)]
    if history.left_out:
        said.append(Message(role="user", text=history.left_out))
    for exchange in history.exchanges:
        calls = tuple(result.call for result in exchange.results)
        said.append(Message(role="assistant", text=exchange.text or ("" if calls else NOTHING), calls=calls))
        said += [Message(role="tool", text=r.text, call_id=r.call.id) for r in exchange.results]
        said += [Message(role="user", text=exchange.remark)] if exchange.remark else []
        said += [Message(role="system", text=exchange.nudge)] if exchange.nudge else []
    if history.exchanges:
        said.append(Message(role="user", text=_again(opening, number, rounds)))
    return [*said, Message(role="system", text=final)] if final else said


def as_texts(opening: Opening, history: History, *, number: int, rounds: int, final: str = "") -> list[Message]:
    """The prompt for a provider without: alternating user and assistant turns, as every chat template accepts."""
    said = [Message(role="system", text=opening.system)]
    mine = [opening.user, history.left_out]
    for exchange in history.exchanges:
        said.append(Message(role="user", text=_joined(mine)))
        blocks = [protocol.block(r.call.name, r.call.arguments) for r in exchange.results]
        said.append(Message(role="assistant", text=_joined([exchange.text, *blocks]) or NOTHING))
        mine = [f"Result of call {at}:\n{r.text}" for at, r in enumerate(exchange.results, 1)]
        mine += [exchange.remark, exchange.nudge]
    mine += [_again(opening, number, rounds)] if history.exchanges else []
    return [*said, Message(role="user", text=_joined([*mine, final]))]


def size(messages: Sequence[Message]) -> int:
    """Characters in a prompt, calls included."""
    return sum(len(m.text) + sum(len(c.name) + len(c.arguments) for c in m.calls) for m in messages)


def _again(opening: Opening, number: int, rounds: int) -> str:
    return f"Round {number} of {rounds}.\n{opening.standing}"


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def recallable(call: ToolCall, *, id: str, limit: int) -> ToolCall:
    """A call as it may appear in a prompt: with our id, and arguments that are a JSON object of bounded length.

    Servers parse the arguments of earlier calls and reject the whole prompt when that fails.
    """
    arguments = call.arguments
    if len(arguments) > limit:
        arguments = json.dumps({"omitted": f"{len(arguments)} characters"})
    else:
        try:
            if not isinstance(read_json(arguments), dict):
                arguments = "{}"
        except ValueError:
            arguments = "{}"
    return ToolCall(id=id, name=ODD.sub("_", call.name)[:64] or "unnamed", arguments=arguments)


TEXT_CHARS = 2_000
ARGUMENT_CHARS = 1_000


def compact(history: History, *, keep: int) -> History:
    """Keep the newest ``keep`` results and turns, count older ones, and cut long texts and arguments. Idempotent."""
    spare = max(0, len(history.results) - keep)
    kept: list[Exchange] = []
    gone: Counter[str] = Counter()
    chars = 0
    for at, exchange in enumerate(history.exchanges):
        old, results = exchange.results[:spare], exchange.results[spare:]
        spare -= len(old)
        gone.update(result.call.name for result in old)
        chars += sum(len(result.text) for result in old)
        if results or at >= len(history.exchanges) - keep:
            kept.append(_cut(exchange, results))
        else:
            chars += len(exchange.text) + len(exchange.remark) + len(exchange.nudge)
    return History(exchanges=tuple(kept), dropped=history.dropped + gone, dropped_chars=history.dropped_chars + chars)


def _cut(exchange: Exchange, results: tuple[QuotedResult, ...]) -> Exchange:
    return replace(
        exchange,
        text=shorten(exchange.text),
        remark=shorten(exchange.remark),
        nudge=shorten(exchange.nudge),
        results=tuple(replace(r, call=recallable(r.call, id=r.call.id, limit=ARGUMENT_CHARS)) for r in results),
    )


def shorten(text: str, limit: int = TEXT_CHARS) -> str:
    """Head and tail of a text around a line with the count of omitted characters; at most ``limit`` characters."""
    if len(text) <= limit:
        return text
    half = (limit - 60) // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
