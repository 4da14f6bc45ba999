"""How a model call went, in a few words: how deep it thought, how close it came to a collapse. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.views.text import count, duration

COLLAPSED = "collapsed"
PLAIN_DEPTH = 1_000  # thousandths: every token went through the model once
RESTLESS = 500  # thousandths of a collapse that are worth a word
HOLES = "infill"  # how the purpose of a call that fills holes begins


def whole(payload: Mapping[str, Any], name: str) -> int | None:
    """A whole number of ``payload``; None for anything else."""
    value = payload.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def depth(milli: int) -> str:
    """``depth 2.4``."""
    return f"depth {milli / 1000:.1f}"


def canary(milli: int, signal: object) -> str:
    """``canary 0.93 loop``."""
    return f"canary {milli / 1000:.2f}" + (
        f" {signal}" if isinstance(signal, str) and signal not in ("", "none") else ""
    )


def oddities(payload: Mapping[str, Any]) -> str:
    """Depth and canary where they are not what they are with every ordinary call; else empty."""
    deep, near = whole(payload, "depth_milli"), whole(payload, "proximity_milli")
    parts = [depth(deep)] if deep is not None and deep != PLAIN_DEPTH else []
    parts += [canary(near, payload.get("signal"))] if near is not None and near >= RESTLESS else []
    return ", ".join(parts)


def collapsed(payload: Mapping[str, Any]) -> bool:
    """The call was ended because what came was no longer an answer."""
    return payload.get("problem") == COLLAPSED


def worth_telling(payload: Mapping[str, Any]) -> bool:
    """In the block of an op: a collapse, a restless canary, an answer that was thought about more than once.

    A search asks for many holes; that a looped model fills them is no news each time.
    """
    holes = str(payload.get("purpose", "")).startswith(HOLES)
    near = whole(payload, "proximity_milli") or 0
    return collapsed(payload) or near >= RESTLESS or (not holes and bool(oddities(payload)))


def told(payload: Mapping[str, Any]) -> str:
    """``generate in 1.2 s · 700 tokens in, 20 out · depth 2.4, canary 0.93 loop``; followed by the problem, if any."""
    took, read, written = (whole(payload, name) for name in ("ms", "tokens_in", "tokens_out"))
    what = str(payload.get("purpose") or payload.get("provider") or "a call")
    parts = [what + (f" in {duration(took)}" if took is not None else "")]
    if read is not None and written is not None:
        parts.append(f"{count(read, 'token')} in, {written} out")
    parts += [oddities(payload), str(payload.get("problem") or "")]
    return " · ".join(part for part in parts if part)
