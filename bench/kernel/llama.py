"""What llama.cpp is asked, whether it lives in this process or is a program of its own. Standard library only.

The two kinds of work may have different settings: then two servers live one after the other.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from bench.kernel import workload

SAMPLING = {
    "temperature": workload.TEMPERATURE,
    "top_p": workload.TOP_P,
    "top_k": workload.TOP_K,
    "min_p": 0.0,
    "max_tokens": workload.HOLE_TOKENS,
    "stop": ["\n"],
    "cache_prompt": True,
}
BATCH = 2048
KINDS = (("solo", ("prefill", "decode"), 2304), ("many", ("infill", "again"), 1024))  # the last: tokens of a slot


class Llama:
    """``address`` of its server; ``together``: answers that one request asks for, see ``tune``."""

    def __init__(self, address: str, together: int) -> None:
        self.address = address
        self._together = together

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """An answer in OpenAI's form, with llama.cpp's timings."""
        return post(f"{self.address}/v1/completions", request)

    def count(self, text: str) -> int:
        return len(post(f"{self.address}/tokenize", {"content": text, "parse_special": False})["tokens"])

    def ask(self, prompt: str, **fields: Any) -> dict[str, Any]:
        answer = self.complete({"prompt": prompt, **fields})
        if "error" in answer or "choices" not in answer:
            raise RuntimeError(f"llama.cpp: {json.dumps(answer)[:400]}")
        return answer

    def prefill(self, tokens: int, mark: str) -> float:
        text = workload.chat(workload.long_text(self.count, tokens, mark))
        timings = self.ask(text, max_tokens=1, temperature=0.0, cache_prompt=False)["timings"]
        if timings["prompt_n"] < tokens * 0.9:
            raise RuntimeError(f"only {timings['prompt_n']} of {tokens} prompt tokens were computed")
        return float(timings["prompt_per_second"])

    def decode(self) -> float:
        """Its own rate counts the first token, whose time belongs to the prompt."""
        text = workload.chat(workload.QUESTION)
        answer = self.ask(text, max_tokens=workload.ANSWER, temperature=0.0, ignore_eos=True)
        timings = answer["timings"]
        return float((timings["predicted_n"] - 1) * 1000 / timings["predicted_ms"])

    def infill(self, mark: str, seed: int) -> tuple[list[str], Callable[[], int]]:
        """As many requests at once as there are; the server queues what does not fit into its slots."""
        prompts = [workload.infill(*span) for span in workload.holes(mark)]
        times = workload.SAMPLES // self._together
        asks = [(p, seed + 97 * at + self._together * k) for at, p in enumerate(prompts) for k in range(times)]
        many = {"n": self._together} if self._together > 1 else {}

        def one(asked: tuple[str, int]) -> dict[str, Any]:
            return self.ask(asked[0], seed=asked[1], **SAMPLING, **many)

        with ThreadPoolExecutor(len(asks)) as pool:
            answers = list(pool.map(one, asks))
        texts = [choice["text"] for answer in answers for choice in answer["choices"]]
        if len(texts) != len(prompts) * workload.SAMPLES:
            raise RuntimeError(f"{len(texts)} texts came back")
        return texts, lambda: self._tokens(texts, answers)

    def _tokens(self, texts: list[str], answers: list[dict[str, Any]]) -> int:
        """Written tokens; where one request has several answers its usage counts the first only."""
        if self._together == 1:
            return sum(answer["usage"]["completion_tokens"] for answer in answers)
        return sum(min(self.count(text) + 1, workload.HOLE_TOKENS) for text in texts)


def post(address: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the server says, also where it refuses."""
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return {"error": refusal.read().decode(errors="replace")}
    return found


def measured(asked: dict[str, Any], opened: Callable[[dict[str, Any], int], AbstractContextManager[Llama]]) -> Any:
    """All parts of a job. ``opened`` starts a server by its settings and the tokens of a slot."""
    result: dict[str, Any] = {}
    for kind, parts, slot_tokens in KINDS:
        wanted = [part for part in parts if part in asked["parts"]]
        if not wanted:
            continue
        began = time.perf_counter()
        with opened(asked[kind], slot_tokens) as contestant:
            result.setdefault("load_s", time.perf_counter() - began)
            contestant.ask("def a(", max_tokens=2)
            result |= workload.measured({**asked, "parts": wanted}, contestant)
    return result
