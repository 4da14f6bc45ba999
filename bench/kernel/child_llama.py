"""llama.cpp as one contestant, in a process of its own: ``python -m bench.kernel.child_llama JOB``.

Runs in an environment that has xllamacpp and nothing else. The server lives in the process; no HTTP is spoken but for
counting tokens. The two kinds of work may have different settings: then two servers live one after the other.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import xllamacpp

from bench.kernel import workload

FLASH = {
    "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
SAMPLING = {
    "temperature": workload.TEMPERATURE, "top_p": workload.TOP_P, "top_k": workload.TOP_K, "min_p": 0.0,
    "max_tokens": workload.HOLE_TOKENS, "stop": ["\n"], "cache_prompt": True,
}  # fmt: skip


class Llama:
    """``slots``, ``flash``, ``ubatch``, ``unified``, ``repack``: see ``tune``; ``together``: samples of one request."""

    def __init__(self, path: str, threads: int, setting: dict[str, Any], slot_tokens: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.verbosity = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_parallel = setting["slots"]
        params.n_ctx = slot_tokens * setting["slots"]
        params.n_batch, params.n_ubatch = 2048, setting["ubatch"]
        params.flash_attn_type = FLASH[setting["flash"]]
        params.kv_unified = setting["unified"]
        params.no_extra_bufts = not setting["repack"]
        params.fit_params = False
        self._together = setting["together"]
        self._server = xllamacpp.Server(params)

    def count(self, text: str) -> int:
        request = urllib.request.Request(
            f"{self._server.listening_address}/tokenize",
            json.dumps({"content": text, "parse_special": False}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return len(json.load(answer)["tokens"])

    def ask(self, prompt: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._server.handle_completions({"prompt": prompt, **fields})
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


def main() -> None:
    asked = workload.job()
    result: dict[str, Any] = {}
    kinds = (("solo", ("prefill", "decode"), 2304), ("many", ("infill", "again"), 1024))
    for kind, parts, slot_tokens in kinds:
        wanted = [part for part in parts if part in asked["parts"]]
        if not wanted:
            continue
        began = time.perf_counter()
        contestant = Llama(asked["path"], asked["threads"], asked[kind], slot_tokens)
        result.setdefault("load_s", time.perf_counter() - began)
        contestant.ask("def a(", max_tokens=2)
        result |= workload.measured({**asked, "parts": wanted}, contestant)
        del contestant
    result["info"] = {
        "version": f"xllamacpp {xllamacpp.__version__}",
        "system": xllamacpp.get_system_info(),
        "build": {key: str(value) for key, value in xllamacpp.BUILD_INFO.items()},
        **{kind: asked[kind] for kind in ("solo", "many") if kind in asked},
    }  # fmt: skip
    workload.deliver(asked, result)


if __name__ == "__main__":
    main()
