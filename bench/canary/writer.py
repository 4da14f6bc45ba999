"""The real model as a writer of corpora: the engine's own passes, sampled from the whole distribution.

    python -m bench.canary.generate --writer bench.canary.writer:open_writer --raw FILE

``OURO_BENCH_MODEL`` and ``OURO_BENCH_MODELS`` name another model or models folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.canary.recipes import Schedule
from daemon.settings.config import prepare_process
from kernel.canary import TokenStep
from kernel.cancel import CancelToken
from kernel.engine.cache.batch import Batch
from kernel.engine.cache.packing import Row
from kernel.engine.decoding.prompt import chat_prompt
from kernel.engine.decoding.sampling import assess, draw_uniforms, rank
from kernel.engine.engine import Engine
from kernel.engine.model.passes import full_pass
from kernel.engine.settings import LocalSettings
from kernel.policy import load_policy
from kernel.provider import Message
from kernel.weights.registry import load_registry


class EngineWriter:
    """Answers of a loaded engine, with a temperature that changes at given tokens of each answer."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.model = name
        self._engine = engine

    def encode_chat(self, text: str) -> list[int]:
        return chat_prompt(self._engine.vocabulary, [Message(role="user", text=text)])

    def encode(self, text: str) -> list[int]:
        return self._engine.vocabulary.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self._engine.vocabulary.decode(ids)

    def write(
        self, prompts: Sequence[Sequence[int]], given: Sequence[Sequence[int]], *, max_tokens: int,
        temperature: Sequence[Schedule], seed: Sequence[int],
    ) -> list[list[TokenStep]]:  # fmt: skip
        """One answer a prompt; the token that ends an answer is left out."""
        import torch

        engine, model = self._engine, self._engine.model
        rows = [Row(at, tuple(prompt), 0, max_tokens) for at, prompt in enumerate(prompts)]
        chances = [draw_uniforms(number, 0, 0, max_tokens) for number in seed]
        answers: list[list[TokenStep]] = [[] for _ in rows]
        with torch.inference_mode():
            trunk, store, logits = _prefill(engine, rows)
            batch = Batch(model, engine.memory, trunk, store, rows, 1)
            live = list(range(len(rows)))
            for at in range(max_tokens):
                heat = [_at(temperature[row], at) for row in live]
                picked = _drawn(logits, heat, [chances[row][at] for row in live])
                for place, row in enumerate(live):
                    if at < len(given[row]):
                        picked[place] = given[row][at]
                steps = assess(logits, rank(logits), picked)
                for place in reversed(range(len(live))):
                    if engine.vocabulary.is_end(steps[place].token):
                        batch.drop(place)
                        live[place], steps[place] = live[-1], steps[-1]
                        live.pop()
                        steps.pop()
                        continue
                    answers[live[place]].append(steps[place])
                if not live or at + 1 == max_tokens:
                    break
                batch.rearrange()
                tokens = torch.tensor([[step.token] for step in steps])
                logits = model.scores(full_pass(model, tokens, batch.view(), 1)[:, -1])
        return answers


def _prefill(engine: Engine, rows: list[Row]) -> tuple[Any, Any, Any]:
    trunk = engine.prefill.trunk([])
    return (trunk, *engine.prefill.rows(trunk, rows))


def _drawn(logits: Any, heat: Sequence[float], chance: Sequence[float]) -> Any:
    """A token for each row from its whole distribution: garbage needs its tail, which the product never looks at."""
    import torch

    hot = torch.softmax(logits / torch.tensor(heat).clamp(min=1e-6)[:, None], dim=-1).cumsum(dim=-1)
    drawn = torch.searchsorted(hot, torch.tensor(chance)[:, None] * hot[:, -1:]).squeeze(-1)
    return torch.where(torch.tensor(heat) > 0, drawn.clamp(max=logits.shape[-1] - 1), logits.argmax(dim=-1))


def _at(schedule: Schedule, token: int) -> float:
    return next(heat for first, heat in reversed(schedule) if first <= token)


def open_writer() -> EngineWriter:
    prepare_process()
    from kernel.engine.loading import WeightsLocation, load_engine

    name = os.environ.get("OURO_BENCH_MODEL", "qwen2.5-coder-0.5b")
    folder = Path(os.environ.get("OURO_BENCH_MODELS", "~/.cache/ouroboros/models")).expanduser()
    source = WeightsLocation(name, load_registry().find(load_policy().model(name).weights), folder)
    return EngineWriter(name, load_engine(source, LocalSettings(quantise="int8"), print, CancelToken()))
