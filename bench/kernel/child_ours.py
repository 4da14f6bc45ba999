"""Ours as one contestant, through the public provider, in a process of its own: ``python -m bench.kernel.child_ours JOB``.

Without parts it only loads and answers once: weights are converted and the machine is tried, outside any figure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.kernel import workload
from daemon.settings.config import prepare_process
from kernel.engine.settings import LocalSettings
from kernel.provider import Done, InfillRequest, InfillSpan, Limits, Message
from kernel.providers.local.provider import LocalProvider

TIMEOUT_S = 3600.0


class Ours:
    """Synchronous, like the others: every call is the event loop run until it is answered."""

    def __init__(self, asked: dict[str, Any]) -> None:
        settings = LocalSettings.model_validate({"speculate": "off", "threads": asked["threads"], **asked["settings"]})
        self._provider = LocalProvider(model=asked["model"], settings=settings, models_dir=Path(asked["models"]))
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.run(self._provider.aclose())
        self._runner.close()

    @property
    def why(self) -> str:
        return self._runner.run(self._provider.health()).detail

    def answer(self, text: str, tokens: int) -> tuple[float, float, Done]:
        """Seconds to the first piece and to the end of an answer."""
        return self._runner.run(self._answer(text, tokens))

    async def _answer(self, text: str, tokens: int) -> tuple[float, float, Done]:
        began, first = time.perf_counter(), 0.0
        limits = Limits(max_tokens=tokens, timeout_s=TIMEOUT_S)
        async for event in self._provider.respond((Message(role="user", text=text),), (), limits):
            first = first or time.perf_counter() - began
            if isinstance(event, Done):
                return first, time.perf_counter() - began, event
        raise RuntimeError("the answer has no end")

    def prefill(self, tokens: int, mark: str) -> float:
        text = workload.long_text(self._provider.count_tokens, tokens, mark)
        _, seconds, done = self.answer(text, 1)
        if done.usage.tokens_in < tokens * 0.9:
            raise RuntimeError(f"a prompt of {done.usage.tokens_in} tokens instead of {tokens}")
        return done.usage.tokens_in / seconds

    def decode(self) -> float:
        first, seconds, done = self.answer(workload.QUESTION, workload.ANSWER)
        if done.usage.tokens_out < workload.ANSWER:
            raise RuntimeError(f"the answer ended after {done.usage.tokens_out} tokens")
        return (done.usage.tokens_out - 1) / (seconds - first)

    def infill(self, mark: str, seed: int) -> tuple[list[str], Callable[[], int]]:
        spans = tuple(
            InfillSpan(prefix=prefix, suffix=suffix, max_tokens=workload.HOLE_TOKENS, stop=("\n",))
            for prefix, suffix in workload.holes(mark)
        )
        request = InfillRequest(
            spans=spans,
            samples=workload.SAMPLES,
            temperature=workload.TEMPERATURE,
            top_p=workload.TOP_P,
            seed=seed,
            timeout_s=TIMEOUT_S,
        )
        answer = self._runner.run(self._provider.infill(request))
        return [found.text for found in answer.infills], lambda: answer.usage.tokens_out


def main() -> None:
    prepare_process()  # before torch is imported, as the daemon does
    asked = workload.job()
    contestant = Ours(asked)
    began = time.perf_counter()
    contestant.answer("Hello", 1)
    result: dict[str, Any] = {"load_s": time.perf_counter() - began}
    result |= workload.measured(asked, contestant)
    result["info"] = {"why": contestant.why, "settings": asked["settings"]}
    workload.deliver(asked, result)
    contestant.close()


if __name__ == "__main__":
    main()
