"""Holes filled by the local provider: what a batch, a shared prefix, a seed or a bound may not change."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from kernel.engine.cache.packing import MIN_SHARED, share_prefix
from kernel.engine.decoding.prompt import infill_prompt
from kernel.policy import load_policy
from kernel.provider import Infill, InfillSpan, Limits, Usage
from kernel.providers.local.provider import LocalProvider
from ledger.errors import ProviderBadOutput
from tests.kernel.local_scene import HEAD, SPANS, provider, request
from tests.kernel.tiny import CONTROL, NAME, Tiny, published_form, vocabulary


def same(left: Infill, right: Infill) -> bool:
    close = abs(left.logprob_milli - right.logprob_milli) <= 2
    return (left.text, left.finish) == (right.text, right.finish) and close


async def alone(local: LocalProvider, span: InfillSpan) -> Infill:
    (found,) = (await local.infill(request(span))).infills
    return found


async def test_a_batch_answers_as_each_span_alone(local: LocalProvider) -> None:
    together = (await local.infill(request())).infills
    assert [found.span for found in together] == [0, 1, 2, 3]
    for span, found in zip(SPANS, together, strict=True):
        assert same(found, await alone(local, span))
    assert len({found.text for found in together}) > 2


async def test_the_greedy_answer_is_that_of_the_published_model(local: LocalProvider, tiny: Tiny) -> None:
    """Text and mean log-probability, by transformers' own class without any cache."""
    import torch

    model, (span, *_) = published_form(tiny), SPANS
    found = await alone(local, span)
    assert local._engine is not None
    words = local._engine.vocabulary
    numbers, _ = infill_prompt(words, load_policy().families["qwen2.5-coder"], span)
    tokens = vocabulary()[0]
    assert [tokens[numbers[0]], tokens[numbers[-1]]] == ["<|fim_prefix|>", "<|fim_middle|>"]
    assert tokens.index(CONTROL[5]) in numbers
    answer, logprob = [], 0.0
    with torch.inference_mode():
        for _ in range(span.max_tokens):
            scores = torch.log_softmax(model(torch.tensor([[*numbers, *answer]])).logits[0, -1], dim=-1)
            answer.append(int(scores.argmax()))
            logprob += float(scores.max())
    assert found.text == words.decode(answer).rstrip("�")
    assert abs(found.logprob_milli - 1000 * logprob / span.max_tokens) < 2
    assert math.exp(found.logprob_milli / 1000) > 1 / len(tokens)


async def test_sharing_a_prefix_changes_nothing(local: LocalProvider) -> None:
    """The prefixes are long enough to be shared; the same spans in an order or company without sharing agree."""
    shared = (await local.infill(request(*SPANS[:2]))).infills
    assert local._engine is not None
    family = load_policy().families["qwen2.5-coder"]
    prompts = [infill_prompt(local._engine.vocabulary, family, span) for span in SPANS[:2]]
    trunk, rows = share_prefix([p for p, _ in prompts], [n for _, n in prompts], [1, 1])
    assert len(trunk) > MIN_SHARED and all(row.shared > MIN_SHARED for row in rows)
    for span, found in zip(SPANS[:2], shared, strict=True):
        assert same(found, await alone(local, span))


@pytest.mark.parametrize("bounds", [{"prefill_tokens": 64}, {"rows": 1}, {"rows": 3}, {"cache_tokens": 256}])
async def test_bounds_change_the_work_and_not_the_answers(
    local: LocalProvider, tiny: Tiny, bounds: dict[str, int]
) -> None:
    long = InfillSpan(prefix=HEAD * 6, suffix="\n", max_tokens=6, stop=())
    wanted = request(*SPANS, long, temperature=0.7, samples=2, seed=3)
    bounded = provider(tiny, **bounds)
    expected, found = await local.infill(wanted), await bounded.infill(wanted)
    await bounded.aclose()
    assert found.usage == expected.usage
    assert all(same(a, b) for a, b in zip(found.infills, expected.infills, strict=True))


async def test_samples_are_reproducible_by_seed(local: LocalProvider) -> None:
    first = await local.infill(request(temperature=1.0, samples=3, seed=5))
    again = await local.infill(request(temperature=1.0, samples=3, seed=5))
    other = await local.infill(request(temperature=1.0, samples=3, seed=6))
    assert first == again
    assert [found.span for found in first.infills] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert {found.text for found in first.infills} != {found.text for found in other.infills}
    assert len({found.text for found in first.infills}) > 8


async def test_a_sample_does_not_depend_on_its_company(local: LocalProvider) -> None:
    few = await local.infill(request(*SPANS[:2], temperature=1.0, samples=1, seed=5))
    many = await local.infill(request(temperature=1.0, samples=3, seed=5))
    assert same(few.infills[0], many.infills[0]) and same(few.infills[1], many.infills[3])


async def test_next_to_no_top_p_is_greedy(local: LocalProvider) -> None:
    greedy = await local.infill(request())
    for top_p in (0.0, 1e-6):
        narrow = await local.infill(request(temperature=1.0, top_p=top_p))
        assert all(same(a, b) for a, b in zip(narrow.infills, greedy.infills, strict=True))


async def test_an_answer_ends_before_the_first_stop(local: LocalProvider) -> None:
    whole = await alone(local, SPANS[0])
    assert whole.finish == "length" and len(whole.text) > 6
    for stop in (whole.text[5], whole.text[3:6]):
        cut = await alone(local, SPANS[0].model_copy(update={"stop": ("never there", stop)}))
        assert (cut.text, cut.finish) == (whole.text[: whole.text.index(stop)], "stop")


async def test_the_limit_is_kept_and_tokens_are_counted(local: LocalProvider) -> None:
    answer = await local.infill(request())
    assert {found.finish for found in answer.infills} == {"length"}
    assert answer.usage.tokens_out == sum(span.max_tokens for span in SPANS)
    assert not answer.usage.estimated
    parts = sum(local.count_tokens(span.prefix) + local.count_tokens(span.suffix) + 3 for span in SPANS)
    assert answer.usage.tokens_in == parts


async def test_text_that_looks_like_a_control_token_is_text(local: LocalProvider) -> None:
    plain = InfillSpan(prefix="a = '<|fim_suffix|>'", suffix="<|im_end|>", max_tokens=4, stop=())
    answer = await local.infill(request(plain))
    assert answer.usage.tokens_in == len("a = '<|fim_suffix|>'") + len("<|im_end|>") + 3 - _merged(local, plain)


def _merged(local: LocalProvider, span: InfillSpan) -> int:
    """Bytes that merges made into fewer tokens."""
    text = span.prefix + span.suffix
    return len(text) - local.count_tokens(span.prefix) - local.count_tokens(span.suffix)


async def test_nothing_asked_is_nothing_answered(tiny: Tiny) -> None:
    local = provider(tiny)
    answer = await local.infill(request().model_copy(update={"spans": ()}))
    assert (answer.infills, answer.usage) == ((), Usage())
    assert not local.loaded


async def test_several_greedy_samples_are_refused(tiny: Tiny) -> None:
    with pytest.raises(ProviderBadOutput, match="ask for one sample"):
        await provider(tiny).infill(request(samples=2))


async def test_a_prompt_that_does_not_fit_is_refused(local: LocalProvider) -> None:
    context = load_policy().model(NAME).context
    with pytest.raises(ProviderBadOutput, match=f"{context} is what the model takes"):
        await local.infill(request(SPANS[0], InfillSpan(prefix="x", suffix="", max_tokens=context)))
    assert (await local.infill(request(SPANS[2]))).infills[0].finish == "length"


@pytest.mark.parametrize("field", ["max_tokens"])
def test_no_tokens_at_all_cannot_be_asked_for(field: str) -> None:
    with pytest.raises(ValidationError):
        InfillSpan.model_validate({"prefix": "", "suffix": "", field: 0})
    with pytest.raises(ValidationError):
        Limits.model_validate({field: 0})


@pytest.mark.parametrize("quantise", ["none", "int8", "int4", "auto"])
async def test_every_form_answers_and_says_why_it_was_chosen(tiny: Tiny, quantise: str) -> None:
    local = provider(tiny, quantise=quantise)
    assert (await local.health()).detail == "loaded at first use"
    answer = await local.infill(request())
    detail = (await local.health()).detail
    await local.aclose()
    assert len(answer.infills) == len(SPANS)
    assert all(found.logprob_milli < 0 for found in answer.infills)
    if quantise in ("int8", "int4"):
        assert detail == f"{quantise}: the owner's setting"
    else:
        assert (
            detail.startswith(("bf16", "fp32", "int8", "int4")) and "a trial of 1/2/4/16/256 rows took fp32" in detail
        )
