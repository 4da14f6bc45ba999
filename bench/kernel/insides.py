"""Models whose scores can be seen: our engine below the provider, and transformers, in the same two words.

``write`` gives greedy answers, ``scores`` what the model thinks at every place of a text that is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from unittest import mock

from bench.kernel import published
from kernel.cancel import CancelToken
from kernel.engine import loading as load
from kernel.engine.cache.batch import additive_mask
from kernel.engine.cache.packing import share_prefix
from kernel.engine.decoding.sampling import SamplingOptions
from kernel.engine.engine import DecodeOptions, DecodeRequest
from kernel.engine.forms import Arithmetic, FormPlan
from kernel.engine.model.attention import CachePart
from kernel.engine.model.passes import full_pass
from kernel.engine.settings import LocalSettings
from kernel.policy import load_policy
from kernel.weights.registry import load_registry

if TYPE_CHECKING:
    from torch import Tensor


class Model(Protocol):
    def write(self, prompt: Sequence[int], tokens: int) -> list[int]: ...

    def scores(self, numbers: Sequence[int]) -> Tensor:
        """Logits (places, vocabulary) behind every place, float32."""
        ...


class Ours:
    """With one form of the weights for everything. ``form`` ``whole``: bf16 weights that are computed in float32."""

    def __init__(self, models: Path, name: str, form: str, threads: int = 0) -> None:
        weights = load_registry().find(load_policy().model(name).weights)
        arithmetic: Arithmetic = "fp32" if form == "whole" else form  # type: ignore[assignment]
        settings = LocalSettings(quantise="fp32" if form == "fp32" else "none", threads=threads)
        forced = FormPlan(arithmetic, None, 0, "forced by the benchmark")
        with mock.patch.object(load, "choose_forms", lambda *_: forced):
            source = load.WeightsLocation(name, weights, models)
            self.engine = load.load_engine(source, settings, lambda _: None, CancelToken())

    def write(self, prompt: Sequence[int], tokens: int) -> list[int]:
        trunk, rows = share_prefix([list(prompt)], [0], [tokens])
        (trail,) = self.engine.answer(DecodeRequest(trunk, rows, [()], DecodeOptions(sampling=SamplingOptions())))
        return trail.answer.numbers

    def scores(self, numbers: Sequence[int]) -> Tensor:
        import torch

        engine = self.engine
        with torch.inference_mode():
            count = len(numbers)
            store = engine.memory.store(engine.model, rows=1, capacity=count)
            places = torch.arange(count)
            mask = additive_mask(places[None] <= places[:, None])[None, None]
            view = engine.model.view(places[None], [CachePart(store, mask=mask, written=True)])
            state = full_pass(engine.model, torch.tensor([list(numbers)]), view, engine.memory.steps)
            found: Tensor = engine.model.scores(state[0]).float()
            return found


class Theirs:
    """transformers, from the folder that was made of the GGUF file."""

    def __init__(self, cache: Path, name: str, form: str) -> None:
        self._model, self.tokenizer = published.load(cache, name, form)

    def share_table(self) -> None:
        """What ours does, as the publisher's own checkpoint: one table at both ends, the more exact of the file's two."""
        head = self._model.get_output_embeddings()
        self._model.get_input_embeddings().weight.data = head.weight.data

    def write(self, prompt: Sequence[int], tokens: int) -> list[int]:
        import torch

        batch = torch.tensor([list(prompt)])
        fields: dict[str, Any] = {"do_sample": False, "repetition_penalty": 1.0, "max_new_tokens": tokens}
        with torch.inference_mode():
            given = self._model.generate(batch, attention_mask=torch.ones_like(batch), **fields)  # type: ignore[operator]
        found: list[int] = given[0, len(prompt) :].tolist()
        return found

    def scores(self, numbers: Sequence[int]) -> Tensor:
        import torch

        with torch.inference_mode():
            found: Tensor = self._model(torch.tensor([list(numbers)])).logits[0].float()
            return found
