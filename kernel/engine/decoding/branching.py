"""Alternatives to the current text of a hole: the places where an answer may branch off.

A model asked to fill a hole in nearly correct code mostly reproduces the current text. So that text is scored once, and
at each of its tokens the model's other candidates are collected. The most probable of these branch points begin the
answers, so that every answer differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.engine.cache.key_values import KeyValues
from kernel.engine.cache.packing import Row, split_prefill
from kernel.engine.cache.prefill import Prefill

if TYPE_CHECKING:
    from torch import Tensor

ALTERNATIVES = 8  # candidates per place besides the current token


@dataclass(frozen=True, slots=True)
class BranchPoint:
    """The first ``at`` tokens of the text, then another ``token``. ``logprob``: of this whole prefix (nats)."""

    at: int
    token: int
    logprob: float


def choose_branches(branches: Sequence[BranchPoint], count: int) -> list[BranchPoint]:
    """The ``count`` most probable branch points; the last one is repeated where there are fewer. Pure."""
    ordered = sorted(branches, key=lambda branch: (-branch.logprob, branch.at, branch.token))
    chosen = ordered[:count]
    return chosen + chosen[-1:] * (count - len(chosen))


def read_texts(
    prefill: Prefill, trunk: KeyValues, rows: Sequence[Row], texts: Sequence[Sequence[int]], ends: frozenset[int]
) -> tuple[KeyValues, Tensor, list[list[BranchPoint]]]:
    """Computes each row's prompt and the text after it in one pass.

    Returns the prompts' keys and values as ``Prefill.rows`` does, the scores after them (rows, vocabulary), and the
    branch points of each row. ``ends``: tokens that end an answer; they are no branch points of an empty text or at the
    end of a text.
    """
    import torch

    width = max(row.rest for row in rows)
    store = prefill.memory.store(prefill.model, rows=len(rows), capacity=width)
    store.length = width
    place = {row.span: at for at, row in enumerate(rows)}
    scores: dict[int, Tensor] = {}
    branches: dict[int, list[BranchPoint]] = {}
    longer = [Row(r.span, (*r.numbers, *texts[r.span]), r.shared, r.max_tokens) for r in rows]
    for group in split_prefill(longer, tokens=prefill.at_once):
        most = max(row.rest for row in group)
        states: list[list[Tensor]] = [[] for _ in group]
        own = store
        for found, start, state in prefill.prefill_pieces(trunk, group):
            own = found
            for at, row in enumerate(group):
                first = max(most - len(texts[row.span]) - 1, start) - start
                if first < state.shape[1]:
                    states[at].append(state[at, first:])
        for at, row in enumerate(group):
            text, target = texts[row.span], place[row.span]
            scores_after = prefill.model.scores(torch.cat(states[at])).float()
            scores[target] = scores_after[0]
            branches[target] = list(branch_points(scores_after.log_softmax(dim=-1), text, ends))
            count = row.rest - len(text)
            end = own.length - len(text)
            store.copy_in(target, width - count, own, at, end - count, end)
    return store, torch.stack([scores[at] for at in range(len(rows))]), [branches[at] for at in range(len(rows))]


def branch_points(chances: Tensor, text: Sequence[int], ends: frozenset[int]) -> Iterator[BranchPoint]:
    """``chances`` (tokens of the text and one more, vocabulary): log-probabilities of each next token."""
    before = 0.0
    tops = chances.topk(min(ALTERNATIVES + 1, chances.shape[-1]), dim=-1)
    for at in range(len(text) + 1):
        current = text[at] if at < len(text) else None
        for chance, token in zip(tops.values[at].tolist(), tops.indices[at].tolist(), strict=True):
            if token == current or (token in ends and (current is None or not at)):
                continue
            yield BranchPoint(at, token, before + chance)
        if current is not None:
            before += float(chances[at, current])
