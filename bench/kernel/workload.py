"""What every contestant is asked. Standard library only: the child of llama.cpp imports it, too."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.kernel.function import FUNCTION, spans

LENGTHS = (128, 512, 2048)
ANSWER = 64  # tokens; the first one ends the prompt, the other 63 are decoding
SAMPLES, HOLE_TOKENS, TEMPERATURE, TOP_P, TOP_K = 4, 24, 0.8, 0.95, 64
FRAME = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
FRAME_TOKENS = 30
QUESTION = (
    "Write a complete Python module for a small library that lends books. It has a class for a book, a class for a "
    "reader and a class for a loan, each with a docstring and type hints, and functions to lend a book, to take it "
    "back and to list what is overdue. Begin with the module docstring and the imports."
)

Count = Callable[[str], int]


def chat(text: str) -> str:
    """The conversation as the model's own template writes it."""
    return FRAME.format(text)


def infill(prefix: str, suffix: str) -> str:
    return f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"


def long_text(count: Count, tokens: int, mark: str) -> str:
    """A question whose conversation has about ``tokens`` tokens; ``mark`` near its beginning keeps caches out."""
    whole = f"Case {mark}. What is wrong here?\n" + "".join(
        FUNCTION.replace("NAME", f"settle_{mark}_{copy}") + "\n\n" for copy in range(2 + tokens // 500)
    )
    low, high = 0, len(whole)
    while low < high:
        middle = (low + high + 1) // 2
        if count(whole[:middle]) <= tokens - FRAME_TOKENS:
            low = middle
        else:
            high = middle - 1
    return whole[:low]


def holes(mark: str) -> list[tuple[str, str]]:
    return spans(f"settle_{mark}")


def per_second(amount: float, work: Callable[[], Any]) -> tuple[float, Any]:
    """``amount`` over the seconds that ``work`` took, and what it gave."""
    began = time.perf_counter()
    given = work()
    return amount / (time.perf_counter() - began), given


def memory(process: int | str = "self") -> dict[str, float]:
    """Of a process, in MB."""
    wanted = ("VmHWM", "VmRSS", "RssAnon", "RssFile")
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return {k: int(v.split()[0]) / 1024 for k, _, v in (line.partition(":") for line in lines) if k in wanted}


def job() -> dict[str, Any]:
    """What this child shall do: the argument is a file with the job."""
    found: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return found


def deliver(asked: dict[str, Any], result: dict[str, Any]) -> None:
    """The result goes into a file: engines print what they like. Memory is that of this process, unless told."""
    Path(asked["result"]).write_text(json.dumps({"memory": memory(), **result}), encoding="utf-8")


def measured(asked: dict[str, Any], contestant: Any) -> dict[str, Any]:
    """The parts that were asked for, of a contestant that is loaded: prefill, decode, infill, again.

    A contestant has ``prefill(tokens, mark)`` and ``decode()``, both in tokens a second, and ``infill(mark, seed)``
    with the texts, and how to count the tokens that were written, which is not timed.
    """
    result: dict[str, Any] = {}
    mark = asked["mark"]
    parts = asked["parts"]
    if "prefill" in parts:
        contestant.prefill(128, f"{mark}w")
        result["prefill"] = {str(n): contestant.prefill(n, f"{mark}p{n}") for n in asked.get("lengths", LENGTHS)}
    if "decode" in parts:
        result["decode"] = statistics.median(contestant.decode() for _ in range(asked.get("decodes", 2)))
    for name, seed in (("infill", 1), ("again", 1001)):
        if name in parts:
            rate, (texts, tokens) = per_second(1, lambda s=seed: contestant.infill(mark, s))
            result[name] = rate * len(texts)
            result[f"{name}_tokens"] = tokens() / len(texts)
            result[f"{name}_texts"] = texts[::SAMPLES]
    return result
