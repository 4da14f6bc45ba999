"""Early exit from the loop: one rule for all tokens, decided per token in float32.

The model's exit gate gives, at each step, the probability that a token leaves there if it has not left before; the last
step takes the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ledger.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["fixed", "qexit", "converge", "accel"]
Reason = Literal["depth", "gate", "converged", "settled"]
REASON: dict[Kind, Reason] = {"fixed": "depth", "qexit": "gate", "converge": "converged", "accel": "settled"}


@dataclass(frozen=True, slots=True)
class ExitRule:
    """When a token leaves the loop. ``steps`` is the maximum, ``floor`` the minimum number of steps.

    fixed: at full depth. qexit: at the first step whose cumulative exit probability reaches ``q`` (1 or more: full
    depth). converge: when a step changes the state by less than the share ``eps`` of its norm. accel: when the relative
    difference of two successive changes is below ``eps`` for ``patience`` steps in a row.
    """

    kind: Kind
    steps: int
    q: float = 0.5
    eps: float = 0.05
    patience: int = 2
    floor: int = 1

    @property
    def adaptive(self) -> bool:
        """False when tokens can only leave at full depth."""
        if self.kind == "fixed" or self.floor >= self.steps:
            return False
        return self.kind != "qexit" or self.q < 1

    def with_more_steps(self, steps: int, q: float, *, limit: int) -> ExitRule:
        """The rule with maximum and minimum raised by ``steps``, up to ``limit``, and with another ``q``."""
        deepest = max(self.steps, min(self.steps + steps, limit))
        return replace(self, steps=deepest, floor=min(self.floor + steps, deepest), q=q)

    def check(self, *, gate: bool, steps: int) -> None:
        """Raises ``ConfigError`` when the model does not support the rule."""
        if self.kind == "qexit" and steps > 1 and not gate:
            raise ConfigError(
                "The model has no exit gate, so kernel.local.exit cannot be qexit.",
                remedy="Use fixed, converge or accel.",
            )


class ExitTracker:
    """Exit decisions of one forward pass with one token per row, and the relative change of the states."""

    def __init__(self, rule: ExitRule, rows: int, device: str = "cpu") -> None:
        import torch

        self.rule = rule
        self.depth = torch.full((rows,), rule.steps, device=device)
        self.left_early = torch.zeros(rows, dtype=torch.bool, device=device)  # left before full depth
        self.contraction = torch.full(
            (rows,), float("nan"), device=device
        )  # size of the last change relative to the one before
        self._stay_probability = torch.ones(rows, device=device)
        self._settled_steps = torch.zeros(rows, dtype=torch.int64, device=device)
        self._state: Tensor | None = None
        self._change: Tensor | None = None

    def after(self, step: int, state: Tensor, active: Tensor, gate: Tensor | None) -> Tensor:
        """A mask over ``active`` (row numbers): which of these rows leave after ``step`` (from 1).

        ``state`` (active, width) float32; ``gate`` (active,) logits, float32.
        """
        import torch

        leaves = self._rule_applies(step, state, active, gate)
        leaves &= torch.tensor(self.rule.floor <= step < self.rule.steps)
        self.depth[active[leaves]] = step
        self.left_early[active[leaves]] = True
        return leaves

    def _rule_applies(self, step: int, state: Tensor, active: Tensor, gate: Tensor | None) -> Tensor:
        import torch

        rule, leaving = self.rule, torch.zeros(len(active), dtype=torch.bool, device=state.device)
        if (
            rule.kind == "qexit" and rule.q < 1 and gate is not None
        ):  # a probability may round to 1: skipped at full depth
            self._stay_probability[active] *= 1 - torch.sigmoid(gate)
            leaving = 1 - self._stay_probability[active] >= rule.q
        full = state.new_zeros(len(self.depth), state.shape[-1])
        full[active] = state
        before, self._state = self._state, full
        if before is None:
            return leaving
        change = state - before[active]
        size = change.norm(dim=-1)
        if rule.kind == "converge":
            leaving = size < rule.eps * before[active].norm(dim=-1)
        older, self._change = self._change, full.index_copy(0, active, change)
        if older is not None:
            earlier = older[active]
            old_size = earlier.norm(dim=-1)
            self.contraction[active] = size / old_size.clamp(min=1e-12)
            if rule.kind == "accel":
                difference = (change - earlier).norm(dim=-1) / (size + old_size).clamp(min=1e-12)
                self._settled_steps[active] = torch.where(difference < rule.eps, self._settled_steps[active] + 1, 0)
                leaving = self._settled_steps[active] >= rule.patience
        return leaving
