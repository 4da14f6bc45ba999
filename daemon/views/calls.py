"""Short texts for a model call and its canary score. Pure."""

from __future__ import annotations

from daemon.views.text import count, duration
from ledger.events.model import CallEnded, CallProblem

PLAIN_DEPTH = 1_000  # thousandths: every token went through the layers once
SHOWN_PROXIMITY = 500  # thousandths; a canary score is shown from here
INFILL_PURPOSE = "infill"  # first word of the purpose of calls that fill holes


def depth(milli: int) -> str:
    """``depth 2.4``."""
    return f"depth {milli / 1000:.1f}"


def canary(milli: int, signal: str) -> str:
    """``canary 0.93 loop``."""
    return f"canary {milli / 1000:.2f}" + (f" {signal}" if signal not in ("", "none") else "")


def unusual_values(call: CallEnded) -> str:
    """Depth and canary score as text, each only if unusual."""
    deep, near = call.depth_milli, call.proximity_milli
    parts = [depth(deep)] if deep is not None and deep != PLAIN_DEPTH else []
    parts += [canary(near, call.signal)] if near is not None and near >= SHOWN_PROXIMITY else []
    return ", ".join(parts)


def is_collapse(call: CallEnded) -> bool:
    """Whether the call was ended because its output had collapsed."""
    return call.problem == CallProblem.COLLAPSED


def is_notable(call: CallEnded) -> bool:
    """True for a collapse, a raised canary score, or unusual depth (except in infills, which are many)."""
    near = call.proximity_milli or 0
    return (
        is_collapse(call)
        or near >= SHOWN_PROXIMITY
        or (not call.purpose.startswith(INFILL_PURPOSE) and bool(unusual_values(call)))
    )


def format_call(call: CallEnded) -> str:
    """``generate in 1.2 s · 700 tokens in, 20 out · depth 2.4, canary 0.93 loop``, then the problem, if any."""
    parts = [(call.purpose or call.provider or "a call") + (f" in {duration(call.ms)}" if call.ms is not None else "")]
    if call.tokens_in is not None and call.tokens_out is not None:
        parts.append(f"{count(call.tokens_in, 'token')} in, {call.tokens_out} out")
    parts += [unusual_values(call), call.problem]
    return " · ".join(part for part in parts if part)
