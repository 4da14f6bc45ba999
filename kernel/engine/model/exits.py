"""Early exit from the loop: one rule for all tokens, decided per token in float32.

The gate's probabilities form a distribution over steps: at each step a token leaves with the gate's probability, given
that it has not left before; the last step takes the rest.
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
    """``steps`` is the maximum, ``floor`` the minimum number of steps.

    ``q``: qexit leaves at the first step whose cumulative probability reaches it; 1 and more is full depth. ``eps``:
    converge leaves when a step changed the state by less than this share of it; accel when the change of the change
    stayed below it for ``patience`` steps in a row.
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

    def deeper(self, steps: int, q: float, *, most: int) -> ExitRule:
        """The rule with ``steps`` more at both ends, as far as ``most`` allows; qexit with ``q``."""
        deepest = max(self.steps, min(self.steps + steps, most))
        return replace(self, steps=deepest, floor=min(self.floor + steps, deepest), q=q)

    def check(self, *, gate: bool, steps: int) -> None:
        """Raises ``ConfigError`` when the model does not support the rule."""
        if self.kind == "qexit" and steps > 1 and not gate:
            raise ConfigError(
                "The model has no exit gate, so kernel.local.exit cannot be qexit.",
                remedy="Use fixed, converge or accel.",
            )


class ExitTracker:
    """Exit decisions of one pass with one token a row, and how the states changed."""

    def __init__(self, rule: ExitRule, rows: int, device: str = "cpu") -> None:
        import torch

        self.rule = rule
        self.depth = torch.full((rows,), rule.steps, device=device)
        self.left = torch.zeros(rows, dtype=torch.bool, device=device)  # left before full depth, by the rule
        self.contraction = torch.full(
            (rows,), float("nan"), device=device
        )  # size of the last change relative to the one before
        self._staying = torch.ones(rows, device=device)
        self._hits = torch.zeros(rows, dtype=torch.int64, device=device)
        self._state: Tensor | None = None
        self._change: Tensor | None = None

    def after(self, step: int, state: Tensor, active: Tensor, gate: Tensor | None) -> Tensor:
        """Which of the active rows leave after ``step`` (from 1): a mask over ``active`` (row numbers).

        state (active, width) float32; gate (active,) logits, float32.
        """
        import torch

        leaves = self._fires(step, state, active, gate)
        leaves &= torch.tensor(self.rule.floor <= step < self.rule.steps)
        self.depth[active[leaves]] = step
        self.left[active[leaves]] = True
        return leaves

    def _fires(self, step: int, state: Tensor, active: Tensor, gate: Tensor | None) -> Tensor:
        import torch

        rule, fires = self.rule, torch.zeros(len(active), dtype=torch.bool, device=state.device)
        if (
            rule.kind == "qexit" and rule.q < 1 and gate is not None
        ):  # a probability may round to 1: skipped at full depth
            self._staying[active] *= 1 - torch.sigmoid(gate)
            fires = 1 - self._staying[active] >= rule.q
        full = state.new_zeros(len(self.depth), state.shape[-1])
        full[active] = state
        before, self._state = self._state, full
        if before is None:
            return fires
        change = state - before[active]
        size = change.norm(dim=-1)
        if rule.kind == "converge":
            fires = size < rule.eps * before[active].norm(dim=-1)
        older, self._change = self._change, full.index_copy(0, active, change)
        if older is not None:
            earlier = older[active]
            old_size = earlier.norm(dim=-1)
            self.contraction[active] = size / old_size.clamp(min=1e-12)
            if rule.kind == "accel":
                bend = (change - earlier).norm(dim=-1) / (size + old_size).clamp(min=1e-12)
                self._hits[active] = torch.where(bend < rule.eps, self._hits[active] + 1, 0)
                fires = self._hits[active] >= rule.patience
        return fires
