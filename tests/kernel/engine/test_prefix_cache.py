"""Beginnings of prompts that are kept: what is found again, what is forgotten, and that answers stay the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.engine.cache.key_values import PrefixCache
from kernel.engine.cache.packing import common_prefix_length
from kernel.provider import InfillSpan
from kernel.providers.local.provider import LocalProvider
from tests.kernel.local_scene import HEAD, provider, request
from tests.kernel.tiny import Tiny

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@given(st.lists(TOKENS, max_size=8), TOKENS, st.integers(0, 30))
def test_the_longest_known_beginning_is_found_within_bounds(told: list[list[int]], asked: list[int], most: int) -> None:
    trunks, names = PrefixCache(most), list[tuple[int, ...]]()
    for tokens in told:
        store: Any = tuple(tokens)
        trunks.keep(tokens, store)
        names = [name for name in names if store[: len(name)] != name] + [store]
        while sum(map(len, names)) > most:
            names.pop(0)
    found = trunks.longest_match(asked)
    best = max((common_prefix_length(name, asked) for name in names), default=0)
    assert (found[1] if found else 0) == best
    if found is not None:
        held: Any = found[0]
        assert held[:best] == tuple(asked[:best])


SPANS = [
    InfillSpan(prefix=HEAD * 3 + end, suffix="\n    return subtotal\n", max_tokens=8, stop=())
    for end in ("    a = ", "    b = a", HEAD, "    a = 1\n    b = ")
]


@pytest.fixture(params=[{}, {"prefill_tokens": 64}, {"kept_tokens": 150}])
async def used(tiny: Tiny, request: pytest.FixtureRequest) -> AsyncIterator[LocalProvider]:
    made = provider(tiny, **request.param)
    yield made
    await made.aclose()


async def test_what_was_asked_before_changes_no_answer(tiny: Tiny, used: LocalProvider) -> None:
    """One hole and several, after others that begin alike, as from a model that was never asked anything."""
    fresh = provider(tiny, kept_tokens=0)
    for _ in range(2):
        for asked in ([SPANS[0]], [SPANS[1]], SPANS[1:3], [SPANS[3]], SPANS):
            mine, theirs = await used.infill(request(*asked)), await fresh.infill(request(*asked))
            for one, other in zip(mine.infills, theirs.infills, strict=True):
                assert one.text == other.text and abs(one.logprob_milli - other.logprob_milli) <= 2
    await fresh.aclose()


async def test_a_beginning_that_is_known_is_not_computed_again(tiny: Tiny) -> None:
    used = provider(tiny)
    await used.infill(request(SPANS[0]))
    engine = used._engine
    assert engine is not None
    computed: list[int] = []
    plain = engine.model._embed

    def counting(tokens: Any) -> Any:
        computed.append(tokens.numel())
        return plain(tokens)

    engine.model._embed = counting
    await used.infill(request(SPANS[0]))
    again = sum(computed)
    engine._prefixes = type(engine._prefixes)(0)
    computed.clear()
    await used.infill(request(SPANS[0]))
    assert again < sum(computed) / 2
    await used.aclose()
