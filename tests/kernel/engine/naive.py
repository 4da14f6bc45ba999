"""A looped decoder in the most naive way: one token at a time, plain loops, keys in a dictionary.

Written from the published description of the family only; shares no code with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch

Weights = Mapping[str, Any]


@dataclass
class Shape:
    layers: int
    heads: int
    key_heads: int
    head_size: int
    theta: float
    epsilon: float
    sandwich: bool  # Ouro
    first: int = 0  # looped layers
    behind: int = 0


@dataclass
class Naive:
    """``holes``: copy_last or last_step_reuse. ``leave(step, states)`` says whether a token stops after ``step``."""

    shape: Shape
    weights: Weights
    steps: int
    holes: str = "copy_last"
    keys: dict[tuple[int, int, int], tuple[Any, Any]] = field(default_factory=dict)  # (layer, step, position)
    depths: list[int] = field(default_factory=list)
    prompt: int = 0

    def norm(self, x: Any, name: str) -> Any:
        return x / torch.sqrt((x * x).mean() + self.shape.epsilon) * self.weights[name]

    def turn(self, head: Any, position: int) -> Any:
        half = self.shape.head_size // 2
        pairs = torch.arange(half, dtype=torch.float64)
        angle = position * self.shape.theta ** (-pairs / half)
        cosine, sine = torch.cos(angle).float(), torch.sin(angle).float()
        left, right = head[:half], head[half:]
        return torch.cat([left * cosine - right * sine, right * cosine + left * sine])

    def product(self, x: Any, name: str) -> Any:
        out = self.weights[f"{name}.weight"] @ x
        return out + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else out

    def layer(self, x: Any, number: int, step: int, position: int) -> Any:
        at, shape = f"model.layers.{number}.", self.shape
        y = self.norm(x, f"{at}input_layernorm.weight")
        query = self.product(y, f"{at}self_attn.q_proj").view(shape.heads, -1)
        key = self.product(y, f"{at}self_attn.k_proj").view(shape.key_heads, -1)
        value = self.product(y, f"{at}self_attn.v_proj").view(shape.key_heads, -1)
        key = torch.stack([self.turn(head, position) for head in key])
        self.keys[number, step, position] = (key, value)
        heads = []
        for number_of_head in range(shape.heads):
            q = self.turn(query[number_of_head], position)
            mine = number_of_head * shape.key_heads // shape.heads
            seen = [self.look(number, step, past) for past in range(position + 1)]
            scores = torch.stack([(q * k[mine]).sum() for k, _ in seen]) / shape.head_size**0.5
            weight = torch.softmax(scores, dim=0)
            heads.append(sum(w * v[mine] for w, (_, v) in zip(weight, seen, strict=True)))
        y = self.product(torch.cat(heads), f"{at}self_attn.o_proj")
        if shape.sandwich:
            y = self.norm(y, f"{at}input_layernorm_2.weight")
        x = x + y
        y = self.norm(x, f"{at}post_attention_layernorm.weight")
        gate, up = self.product(y, f"{at}mlp.gate_proj"), self.product(y, f"{at}mlp.up_proj")
        y = self.product(gate * torch.sigmoid(gate) * up, f"{at}mlp.down_proj")
        if shape.sandwich:
            y = self.norm(y, f"{at}post_attention_layernorm_2.weight")
        return x + y

    def look(self, layer: int, step: int, position: int) -> tuple[Any, Any]:
        """What a query of this step sees at a place: its own step there, or what the hole's policy says."""
        written = [s for (of, s, at) in self.keys if (of, at) == (layer, position)]
        if self.holes == "last_step_reuse" and position >= self.prompt:
            return self.keys[layer, max(written), position]
        return self.keys[layer, min(step, max(written)), position]

    def token(self, number: int, leave: Callable[[int, list[Any]], bool]) -> Any:
        """The next token: logits behind it."""
        position, shape = len(self.depths), self.shape
        x = self.weights["model.embed_tokens.weight"][number]
        for layer in range(shape.first):
            x = self.layer(x, layer, 0, position)
        states: list[Any] = []
        for step in range(self.steps):
            for layer in range(shape.first, shape.behind):
                x = self.layer(x, layer, step, position)
            if shape.sandwich:
                x = self.norm(x, "model.norm.weight")
            states.append(x)
            if step + 1 < self.steps and leave(step + 1, states):
                break
        self.depths.append(len(states))
        for layer in range(shape.behind, shape.layers):
            x = self.layer(x, layer, 0, position)
        if not shape.sandwich:
            x = self.norm(x, "model.norm.weight")
        return self.head() @ x

    def head(self) -> Any:
        return self.weights.get("lm_head.weight", self.weights["model.embed_tokens.weight"])

    def gates(self, states: Sequence[Any]) -> list[float]:
        """Probability of leaving, step by step."""
        weight, bias = self.weights["model.early_exit_gate.weight"][0], self.weights["model.early_exit_gate.bias"][0]
        return [float(torch.sigmoid((weight * state).sum() + bias)) for state in states]


def stay(step: int, states: list[Any]) -> bool:
    return False


def by_gate(naive: Naive, q: float) -> Callable[[int, list[Any]], bool]:
    def leave(step: int, states: list[Any]) -> bool:
        staying = 1.0
        for chance in naive.gates(states):
            staying *= 1 - chance
        return q < 1 and 1 - staying >= q

    return leave


def by_change(eps: float) -> Callable[[int, list[Any]], bool]:
    def leave(step: int, states: list[Any]) -> bool:
        return step > 1 and bool((states[-1] - states[-2]).norm() < eps * states[-2].norm())

    return leave


def by_bend(eps: float, patience: int) -> Callable[[int, list[Any]], bool]:
    def leave(step: int, states: list[Any]) -> bool:
        moves = [b - a for a, b in pairwise(states)]
        bends = [(b - a).norm() / (a.norm() + b.norm()) for a, b in pairwise(moves)]
        return len(bends) >= patience and all(bend < eps for bend in bends[-patience:])

    return leave
