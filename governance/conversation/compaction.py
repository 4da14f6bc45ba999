"""Shortens long conversations by rules, without a model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from governance.conversation.history import Exchange, History, QuotedResult, recallable

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
        text=shortened(exchange.text),
        remark=shortened(exchange.remark),
        nudge=shortened(exchange.nudge),
        results=tuple(replace(r, call=recallable(r.call, id=r.call.id, limit=ARGUMENT_CHARS)) for r in results),
    )


def shortened(text: str, limit: int = TEXT_CHARS) -> str:
    """Head and tail of a text around a line with the count of omitted characters; at most ``limit`` characters."""
    if len(text) <= limit:
        return text
    half = (limit - 60) // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
