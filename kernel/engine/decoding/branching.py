"""Where an answer may turn away from what stands in a hole already.

A model that is asked to fill a hole in nearly correct code mostly writes what stands there. So what stands there is
read once, and at each of its tokens it is seen what else the model would have written: the likeliest of these turns are
the beginnings of answers, each of which differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.engine.cache.batch import CacheFormat
from kernel.engine.cache.key_values import KeyValues
from kernel.engine.cache.packing import Row, split_prefill
from kernel.engine.cache.prefill import prefill_pieces
from kernel.engine.model.decoder import LoopModel

if TYPE_CHECKING:
    from torch import Tensor

ALTERNATIVES = 8  # tokens besides the one that stands there


@dataclass(frozen=True, slots=True)
class BranchPoint:
    """So many tokens as they stand, then another ``token``. ``logprob``: of the whole beginning (nats)."""

    at: int
    token: int
    logprob: float


def choose_branches(turns: Sequence[BranchPoint], count: int) -> list[BranchPoint]:
    """The likeliest, as many as ``count``; the same one again where there are fewer. Pure."""
    ordered = sorted(turns, key=lambda turn: (-turn.logprob, turn.at, turn.token))
    chosen = ordered[:count]
    return chosen + chosen[-1:] * (count - len(chosen))


def read_texts(
    model: LoopModel,
    memory: CacheFormat,
    trunk: KeyValues,
    rows: Sequence[Row],
    texts: Sequence[Sequence[int]],
    ends: frozenset[int],
    at_once: int,
) -> tuple[KeyValues, Tensor, list[list[BranchPoint]]]:
    """Each row's prompt and the text behind it in one pass.

    Gives the prompts' keys and values as ``prefill_rows`` does, the scores behind them (rows, vocabulary), and for each
    row every turn that was looked at. ``ends``: tokens that end an answer; none of them is a turn of an empty text or
    at the end of one.
    """
    import torch

    width = max(row.rest for row in rows)
    store = memory.store(model, rows=len(rows), capacity=width)
    store.length = width
    place = {row.span: at for at, row in enumerate(rows)}
    scores: dict[int, Tensor] = {}
    turns: dict[int, list[BranchPoint]] = {}
    longer = [Row(r.span, (*r.numbers, *texts[r.span]), r.shared, r.max_tokens) for r in rows]
    for group in split_prefill(longer, tokens=at_once):
        most = max(row.rest for row in group)
        states: list[list[Tensor]] = [[] for _ in group]
        own = store
        for found, start, state in prefill_pieces(model, memory, trunk, group, at_once):
            own = found
            for at, row in enumerate(group):
                first = max(most - len(texts[row.span]) - 1, start) - start
                if first < state.shape[1]:
                    states[at].append(state[at, first:])
        for at, row in enumerate(group):
            text, target = texts[row.span], place[row.span]
            behind = model.scores(torch.cat(states[at])).float()
            scores[target] = behind[0]
            turns[target] = list(branch_points(behind.log_softmax(dim=-1), text, ends))
            count = row.rest - len(text)
            end = own.length - len(text)
            store.copy_in(target, width - count, own, at, end - count, end)
    return store, torch.stack([scores[at] for at in range(len(rows))]), [turns[at] for at in range(len(rows))]


def branch_points(chances: Tensor, text: Sequence[int], ends: frozenset[int]) -> Iterator[BranchPoint]:
    """``chances`` (tokens of the text and one more, vocabulary): log-probabilities of each next token."""
    before = 0.0
    tops = chances.topk(min(ALTERNATIVES + 1, chances.shape[-1]), dim=-1)
    for at in range(len(text) + 1):
        stands = text[at] if at < len(text) else None
        for chance, token in zip(tops.values[at].tolist(), tops.indices[at].tolist(), strict=True):
            if token == stands or (token in ends and (stands is None or not at)):
                continue
            yield BranchPoint(at, token, before + chance)
        if stands is not None:
            before += float(chances[at, stands])
