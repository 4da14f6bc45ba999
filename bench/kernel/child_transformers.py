"""transformers as one contestant, in a process of its own: ``python -m bench.kernel.child_transformers JOB``.

Its threads wait as torch ships it; only the house's switches against the network are set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.kernel import published, workload

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


class Clock:
    """A streamer that notes when tokens come: the prompt first, then one by one."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: object) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


class Transformers:
    def __init__(self, asked: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(asked["threads"])
        self._torch = torch
        self._model, self._tokenizer = published.load(Path(asked["cache"]), asked["model"], asked["form"])
        self._tokenizer.padding_side = "left"
        self._pad = self._tokenizer.pad_token_id
        if self._pad is None:
            self._pad = self._tokenizer.eos_token_id
        vocabulary = self._tokenizer.convert_ids_to_tokens(range(len(self._tokenizer)))
        self._newlines = torch.tensor([n for n, token in enumerate(vocabulary) if token and "Ċ" in token])

    def count(self, text: str) -> int:
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def write(self, prompts: list[str], tokens: int, **fields: Any) -> Any:
        """Token numbers (rows, prompt + answer), and the length of the prompt."""
        batch = self._tokenizer(prompts, return_tensors="pt", add_special_tokens=False, padding=len(prompts) > 1)
        fields = {"do_sample": False, "repetition_penalty": 1.0, **fields}
        with self._torch.inference_mode():
            given = self._model.generate(**batch, max_new_tokens=tokens, pad_token_id=self._pad, **fields)
        return given, batch["input_ids"].shape[1]

    def prefill(self, tokens: int, mark: str) -> float:
        text = workload.chat(workload.long_text(self.count, tokens, mark))
        rate, (_, length) = workload.per_second(1, lambda: self.write([text], 1))
        return float(rate * length)

    def decode(self) -> float:
        clock = Clock()
        self.write([workload.chat(workload.QUESTION)], workload.ANSWER, min_new_tokens=workload.ANSWER, streamer=clock)
        _, first, *_, last = clock.times
        return (workload.ANSWER - 1) / (last - first)

    def infill(self, mark: str, seed: int) -> tuple[list[str], Callable[[], int]]:
        """One batch, padded on the left; a row ends with the first token that holds a line break."""
        self._torch.manual_seed(seed)
        prompts = [workload.infill(*span) for span in workload.holes(mark) for _ in range(workload.SAMPLES)]
        given, length = self.write(
            prompts,
            workload.HOLE_TOKENS,
            do_sample=True,
            temperature=workload.TEMPERATURE,
            top_p=1.0,
            top_k=workload.TOP_K,
            stopping_criteria=[self._line_ends],
        )
        answers = given[:, length:]
        texts = [text.partition("\n")[0] for text in self._tokenizer.batch_decode(answers, skip_special_tokens=True)]
        return texts, lambda: int((answers != self._pad).sum())

    def _line_ends(self, numbers: Any, scores: Any, **_: Any) -> Any:
        return self._torch.isin(numbers[:, -1], self._newlines)


def main() -> None:
    import torch
    import transformers

    asked = workload.job()
    began = time.perf_counter()
    contestant = Transformers(asked)
    contestant.write(["def a("], 1)
    result: dict[str, Any] = {"load_s": time.perf_counter() - began}
    result |= workload.measured(asked, contestant)
    result["info"] = {
        "version": f"transformers {transformers.__version__}, torch {torch.__version__}",
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
    workload.deliver(asked, result)


if __name__ == "__main__":
    main()
