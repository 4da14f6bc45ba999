"""A pass of new tokens through the loop: at full depth, or as deep as each token needs.

A token that leaves the loop early has no keys for the steps it did not do, and a later token that goes deeper would
look into a hole. A named policy fills it: ``copy_last`` writes what the last step done has written into the places of
the steps not done; with ``last_step_reuse`` answers keep a single slot a layer, so there is no hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.engine.model.decoder import AttentionView, LoopModel
from kernel.engine.model.exits import ExitRule, ExitTracker

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class AdaptiveResult:
    """What a pass over one token a row came to."""

    state: Tensor  # (rows, 1, width)
    walk: ExitTracker


def advance(view: AttentionView, count: int) -> None:
    """The places that the pass has written are in use from now on."""
    for part in view.parts:
        if part.written:
            part.store.advance(count)


def full_pass(model: LoopModel, tokens: Tensor, view: AttentionView, steps: int) -> Tensor:
    """All tokens through all steps: states (rows, new, width)."""
    state = model.begin(tokens, view)
    for step in range(steps):
        state = model.step(state, step, view)
    state = model.end(state, view)
    advance(view, tokens.shape[1])
    return state


def finish_pass(model: LoopModel, state: Tensor, view: AttentionView, first: int, steps: int) -> Tensor:
    """The steps from ``first`` (from 0) on, for states that did those before: states (rows, new, width)."""
    for step in range(first, steps):
        state = model.step(state, step, view)
    state = model.end(state, view)
    advance(view, state.shape[1])
    return state


def adaptive_pass(model: LoopModel, tokens: Tensor, view: AttentionView, rule: ExitRule) -> AdaptiveResult:
    """One new token a row; a row that leaves is not computed in later steps. tokens (rows, 1)."""
    import torch

    state = model.begin(tokens, view)
    rows = tokens.shape[0]
    walk = ExitTracker(rule, rows, model.device)
    active = torch.arange(rows, device=model.device)
    now, seen = state, view
    for step in range(rule.steps):
        now = model.step(now, step, seen)
        state[active] = now
        flat = now[:, 0].float()
        leaves = walk.after(step + 1, flat, active, model.gate(flat) if model.gate is not None else None)
        if step + 1 == rule.steps:
            _fill_skipped_steps(view, active, step)
        elif leaves.any():
            _fill_skipped_steps(view, active[leaves], step)
            active, now = active[~leaves], now[~leaves]
            if not len(active):
                break
            seen = view.only(active)
    state = model.end(state, view)
    advance(view, 1)
    return AdaptiveResult(state, walk)


def _fill_skipped_steps(view: AttentionView, rows: Tensor, step: int) -> None:
    """These rows do no step after ``step``: nothing may be missing where later tokens go deeper."""
    for part in view.parts:
        if part.written:
            part.store.copy_last(rows, step)
