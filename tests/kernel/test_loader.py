"""A converted folder computes what transformers' own model class computes from the same numbers."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.local.cache import KeyValues
from kernel.local.loader import load_model
from kernel.local.precision import Precision
from kernel.weights import store
from tests.kernel.tiny import HEADS, KEY_HEADS, LAYERS, WIDTH, Tiny, published_form

PROMPTS = ([3, 70, 12, 9, 250, 66, 5, 81, 14, 2, 199, 30], [90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101])


@pytest.fixture(scope="module")
def expected(tiny: Tiny) -> Any:
    """Logits (rows, places, vocabulary) of the published form, float32."""
    import torch

    with torch.inference_mode():
        return published_form(tiny)(torch.tensor(PROMPTS)).logits


def logits(tiny: Tiny, precision: Precision) -> Any:
    """All places at once, then the last four again one by one behind a cache: (both, rows, places, vocabulary)."""
    import torch

    form: store.Form = "int8" if precision == "int8" else "bf16"
    model: Any = load_model(store.converted_folder(tiny.folder, "qwen2.5-coder-0.5b", tiny.weights, form), precision)
    numbers, places = torch.tensor(PROMPTS), len(PROMPTS[0])

    def run(first: int, last: int, cache: KeyValues) -> Any:
        positions = torch.arange(first, last)
        mask = torch.zeros(1, 1, last - first, last, dtype=cache.keys[0].dtype)
        mask.masked_fill_(torch.arange(last)[None, :] > positions[:, None], float("-inf"))
        state = model.model(
            input_ids=numbers[:, first:last], position_ids=positions[None].expand(len(PROMPTS), -1),
            attention_mask={"full_attention": mask.expand(len(PROMPTS), -1, -1, -1)},
            past_key_values=cache, use_cache=True,
        ).last_hidden_state  # fmt: skip
        cache.advance(last - first)
        return model.lm_head(state).float()

    def cache() -> KeyValues:
        return KeyValues(
            layers=LAYERS, rows=len(PROMPTS), heads=KEY_HEADS, capacity=places, head_size=WIDTH // HEADS,
            dtype=model.model.norm.weight.dtype,
        )  # fmt: skip

    with torch.inference_mode():
        whole, kept = run(0, places, cache()), cache()
        steps = [run(0, places - 4, kept), *(run(at, at + 1, kept) for at in range(places - 4, places))]
        return torch.stack([whole, torch.cat(steps, dim=1)])


def agreement(found: Any, expected: Any) -> float:
    """Share of places where the most probable token is the same."""
    return float((found.argmax(-1) == expected.argmax(-1)).float().mean())


def test_fp32_is_the_published_model(tiny: Tiny, expected: Any) -> None:
    found = logits(tiny, "fp32")
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_bf16_is_the_published_model_but_for_rounding(tiny: Tiny, expected: Any) -> None:
    found = logits(tiny, "bf16")
    error = (found - expected).abs().max() / expected.std()
    assert error < 0.2, error
    assert agreement(found, expected) >= 0.9


def test_int8_mostly_says_the_same(tiny: Tiny, expected: Any) -> None:
    found = logits(tiny, "int8")
    error = (found - expected).abs().mean() / expected.std()
    assert error < 0.05, error
    assert agreement(found, expected) >= 0.9
