"""What the local model thinks of texts that it did not write."""

from __future__ import annotations

import asyncio

import pytest

from kernel.engine.decoding.prompt import infill_prompt
from kernel.policy import load_policy
from kernel.provider import InfillSpan, WeighRequest
from kernel.providers.local.provider import LocalProvider
from ledger.errors import ProviderBadOutput
from tests.kernel.local_scene import HEAD, SPANS, provider
from tests.kernel.tiny import Tiny, published_form

TEXTS = ("subtotal", " > 1 and items", "", "\n    return subtotal\n")


async def weigh(local: LocalProvider, *pairs: tuple[InfillSpan, str]) -> tuple[int, ...]:
    asked = WeighRequest(spans=tuple(s for s, _ in pairs), texts=tuple(t for _, t in pairs))
    return (await local.weigh(asked)).logprobs_milli


async def test_it_is_what_the_published_model_says(local: LocalProvider, tiny: Tiny) -> None:
    """Token by token by transformers' own class, and the sum of what may end the text."""
    import torch

    found = await weigh(local, *zip(SPANS, TEXTS, strict=True))
    model = published_form(tiny)
    assert local._engine is not None
    words = local._engine.vocabulary
    ends = sorted(words.ending | {words.encode("\n")[0], words.encode("\n\n")[0]})
    for span, text, one in zip(SPANS, TEXTS, found, strict=True):
        prompt, _ = infill_prompt(words, load_policy().families["qwen2.5-coder"], span)
        numbers = words.encode(text) if text else []
        with torch.inference_mode():
            chances = torch.log_softmax(model(torch.tensor([[*prompt, *numbers]])).logits[0], dim=-1)
        wanted = sum(float(chances[len(prompt) + at - 1, token]) for at, token in enumerate(numbers))
        wanted += float(chances[-1, ends].logsumexp(dim=0))
        assert abs(one - 1000 * wanted) < 5


@pytest.mark.parametrize("bounds", [{}, {"prefill_tokens": 64}, {"rows": 1}])
async def test_neither_company_nor_bounds_change_it(tiny: Tiny, bounds: dict[str, int]) -> None:
    local = provider(tiny, **bounds)
    long = InfillSpan(prefix=HEAD * 6, suffix="\n")
    pairs = [*zip(SPANS, TEXTS, strict=True), (long, TEXTS[3] * 4)]
    together = await weigh(local, *pairs)
    alone = [(await weigh(local, pair))[0] for pair in pairs]
    await local.aclose()
    assert all(abs(a - b) <= 3 for a, b in zip(together, alone, strict=True))


async def test_nothing_to_weigh_and_too_much(local: LocalProvider) -> None:
    assert await weigh(local) == ()
    with pytest.raises(ProviderBadOutput, match="tokens"):
        await weigh(local, (SPANS[0], "a b c " * 20_000))


async def test_it_is_cancelled_like_any_call(local: LocalProvider) -> None:
    await weigh(local, (SPANS[0], "x"))
    task = asyncio.create_task(weigh(local, *((SPANS[0], f"{n} + a * b" * 40) for n in range(40))))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await weigh(local, (SPANS[0], "x"))
