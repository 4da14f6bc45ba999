"""A model call, or its canary score, in a few words. Pure."""

from __future__ import annotations

from daemon.views.text import count, duration
from ledger.events.model import CallEnded, CallProblem

PLAIN_DEPTH = 1_000  # thousandths: every token went through the model once
RESTLESS = 500  # thousandths of a collapse from which a score is shown
HOLES = "infill"  # how the purpose of a call that fills holes begins


def depth(milli: int) -> str:
    """``depth 2.4``."""
    return f"depth {milli / 1000:.1f}"


def canary(milli: int, signal: str) -> str:
    """``canary 0.93 loop``."""
    return f"canary {milli / 1000:.2f}" + (f" {signal}" if signal not in ("", "none") else "")


def oddities(call: CallEnded) -> str:
    """Depth and canary score where they are unusual; else empty."""
    deep, near = call.depth_milli, call.proximity_milli
    parts = [depth(deep)] if deep is not None and deep != PLAIN_DEPTH else []
    parts += [canary(near, call.signal)] if near is not None and near >= RESTLESS else []
    return ", ".join(parts)


def is_collapse(call: CallEnded) -> bool:
    """True when the call was ended because its output was no longer an answer."""
    return call.problem == CallProblem.COLLAPSED


def is_notable(call: CallEnded) -> bool:
    """True for a collapse, a raised canary score, or unusual depth (except in infills, which are many)."""
    near = call.proximity_milli or 0
    return is_collapse(call) or near >= RESTLESS or (not call.purpose.startswith(HOLES) and bool(oddities(call)))


def format_call(call: CallEnded) -> str:
    """``generate in 1.2 s · 700 tokens in, 20 out · depth 2.4, canary 0.93 loop``, then the problem, if any."""
    parts = [(call.purpose or call.provider or "a call") + (f" in {duration(call.ms)}" if call.ms is not None else "")]
    if call.tokens_in is not None and call.tokens_out is not None:
        parts.append(f"{count(call.tokens_in, 'token')} in, {call.tokens_out} out")
    parts += [oddities(call), call.problem]
    return " · ".join(part for part in parts if part)
