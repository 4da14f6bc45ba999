"""What else the local model would write where something stands already."""

from __future__ import annotations

import pytest

from kernel.engine.decoding.branching import BranchPoint, choose_branches
from kernel.engine.decoding.prompt import infill_prompt
from kernel.policy import load_policy
from kernel.provider import DivergeRequest, InfillSpan
from kernel.providers.local.provider import LocalProvider
from ledger.errors import ProviderBadOutput
from tests.kernel.local_scene import HEAD, SPANS, provider
from tests.kernel.tiny import Tiny, published_form

TEXTS = ("subtotal", " > 1 and items", "", "    return subtotal")


async def others(local: LocalProvider, *pairs: tuple[InfillSpan, str], answers: int = 3) -> list[tuple[int, str, int]]:
    asked = DivergeRequest(spans=tuple(s for s, _ in pairs), texts=tuple(t for _, t in pairs), answers=answers)
    return [(one.span, one.text, one.logprob_milli) for one in (await local.diverge(asked)).infills]


def expected(tiny: Tiny, local: LocalProvider, span: InfillSpan, text: str, answers: int) -> list[str]:
    """With transformers' own class, one token after the other, nothing shared."""
    import torch

    assert local._engine is not None
    words, model = local._engine.vocabulary, published_form(tiny)
    ends = words.ending | {words.encode("\n")[0], words.encode("\n\n")[0]}
    prompt, _ = infill_prompt(words, load_policy().families["qwen2.5-coder"], span)
    stands = words.encode(text) if text else []

    def scores(numbers: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = torch.log_softmax(model(torch.tensor([numbers])).logits[0, -1], dim=-1)
        return found

    turns, before = [], 0.0
    for at in range(len(stands) + 1):
        chances = scores([*prompt, *stands[:at]])
        here = stands[at] if at < len(stands) else None
        top = chances.topk(9)
        for chance, token in zip(top.values.tolist(), top.indices.tolist(), strict=True):
            if token != here and not (token in ends and (here is None or at == 0)):
                turns.append((before + chance, at, token))
        before += float(chances[here]) if here is not None else 0.0
    texts = []
    for _, at, token in sorted(turns, key=lambda turn: -turn[0])[:answers]:
        written = [*stands[:at], token]
        while len(written) < max(span.max_tokens, len(stands) + 8) and not words.is_end(written[-1]):
            written.append(int(scores([*prompt, *written]).argmax()))
        texts.append(words.decode([n for n in written if not words.is_end(n)]))
    return texts


async def test_it_is_what_the_published_model_would_write(local: LocalProvider, tiny: Tiny) -> None:
    found = await others(local, *zip(SPANS, TEXTS, strict=True))
    for at, (span, text) in enumerate(zip(SPANS, TEXTS, strict=True)):
        texts = [one for span_at, one, _ in found if span_at == at]
        assert texts == [t.rstrip("�") for t in expected(tiny, local, span, text, 3)]
        assert text not in texts and len(set(texts)) == 3


@pytest.mark.parametrize("bounds", [{}, {"prefill_tokens": 64}, {"rows": 1}, {"cache_tokens": 256}])
async def test_neither_company_nor_bounds_change_it(tiny: Tiny, bounds: dict[str, int]) -> None:
    local = provider(tiny, **bounds)
    pairs = [*zip(SPANS, TEXTS, strict=True), (InfillSpan(prefix=HEAD * 6, suffix="\n", stop=()), TEXTS[3] * 4)]
    together = await others(local, *pairs)
    alone = [(at, text, chance) for at, pair in enumerate(pairs) for _, text, chance in await others(local, pair)]
    await local.aclose()
    assert [row[:2] for row in together] == [row[:2] for row in alone]
    assert all(abs(a[2] - b[2]) <= 3 for a, b in zip(together, alone, strict=True))


async def test_nothing_to_fill_and_too_much(local: LocalProvider) -> None:
    assert await others(local) == []
    with pytest.raises(ProviderBadOutput, match="tokens"):
        await others(local, (SPANS[0], "a b c " * 20_000))


def test_the_likeliest_turns_are_taken_and_there_are_always_enough() -> None:
    turns = [BranchPoint(0, 7, -3.0), BranchPoint(1, 9, -1.0), BranchPoint(2, 4, -2.0)]
    assert choose_branches(turns, 2) == [turns[1], turns[2]]
    assert choose_branches(turns, 4) == [turns[1], turns[2], turns[0], turns[0]]
