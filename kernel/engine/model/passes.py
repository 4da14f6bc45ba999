"""A forward pass of new tokens through the loop: at full depth, or with early exit per token.

A token that leaves early has no keys for its skipped steps, which a later token that goes deeper would attend to. Two
policies: ``copy_last`` copies the keys of the last step done to the skipped ones; with ``last_step_reuse`` answers keep
a single slot a layer, so none is missing.
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
    """Result of a pass over one token a row."""

    state: Tensor  # (rows, 1, width)
    walk: ExitTracker


def advance(view: AttentionView, count: int) -> None:
    """Marks the places written by the pass as used."""
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
    """Steps ``first`` (from 0) to ``steps`` - 1 and the end, for states that did the earlier steps: states (rows, new,
    width).
    """
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
    """Copies the keys of ``step`` to all later steps for rows that leave after it."""
    for part in view.parts:
        if part.written:
            part.store.copy_last(rows, step)
