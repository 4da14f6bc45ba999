"""Twenty short prompts of three kinds, to compare what models write and think."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kernel.engine.decoding.prompt import chat_prompt, infill_prompt
from kernel.engine.decoding.tokenizer import Vocabulary
from kernel.policy import load_policy
from kernel.provider import InfillSpan, Message

Kind = Literal["chat", "completion", "infill"]

CHAT = (
    "Write a Python function that reverses the words of a sentence.",
    "What does `git rebase --onto` do? Answer in two sentences.",
    "Why is a mutable default argument dangerous in Python?",
    "Write a regular expression for an ISO date, and explain its parts.",
    "Write a SQL query for the three customers with the highest total of orders.",
    "Explain the difference between a process and a thread.",
    "Write a test with pytest for a function `slugify(text)`.",
    "Fix this: `for i in range(len(xs)): if xs[i] == 0: del xs[i]`",
)
COMPLETION = (
    "def is_prime(n: int) -> bool:\n",
    "import csv\nfrom pathlib import Path\n\n\ndef read_rows(path: Path) -> list[dict[str, str]]:\n",
    "class Stack:\n    def __init__(self):\n        self._items = []\n\n    def push(self, item):\n",
    "def binary_search(values, wanted):\n    low, high = 0, len(values) - 1\n",
    "# Count the words of a text, most frequent first.\nfrom collections import Counter\n\n",
    "function debounce(callback, delay) {\n",
)
INFILL = (
    ('def average(numbers):\n    """The arithmetic mean."""\n    return ', "\n\n\nassert average([1, 2, 3]) == 2\n"),
    ("def clamp(value, low, high):\n    ", "\n\n\nassert clamp(5, 0, 3) == 3\nassert clamp(-1, 0, 3) == 0\n"),
    ("def factorial(n):\n    if n < 2:\n        return 1\n    return ", "\n\n\nprint(factorial(5))\n"),
    ("def flatten(lists):\n    flat = []\n    for inner in lists:\n        ", "\n    return flat\n"),
    ("def leap(year):\n    return ", "\n\n\nassert leap(2000) and not leap(1900) and leap(2024)\n"),
    ("totals = {}\nfor name, amount in rows:\n    ", "\nprint(max(totals, key=totals.get))\n"),
)


@dataclass(frozen=True)
class Prompt:
    kind: Kind
    numbers: tuple[int, ...]


def prompts(
    vocabulary: Vocabulary, model: str, kinds: Sequence[Kind] = ("chat", "completion", "infill")
) -> list[Prompt]:
    """As token numbers of the model called ``model``."""
    policy = load_policy()
    family = policy.families[policy.model(model).family]
    found = [Prompt("chat", tuple(chat_prompt(vocabulary, [Message(role="user", text=text)]))) for text in CHAT]
    found += [Prompt("completion", tuple(vocabulary.encode(text))) for text in COMPLETION]
    for prefix, suffix in INFILL:
        numbers, _ = infill_prompt(vocabulary, family, InfillSpan(prefix=prefix, suffix=suffix))
        found.append(Prompt("infill", tuple(numbers)))
    return [prompt for prompt in found if prompt.kind in kinds]


def cut_at_control(numbers: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """An answer without the control token that ended it, and without what came behind one."""
    found = []
    for number in numbers:
        if vocabulary.is_end(number):
            break
        found.append(number)
    return found


def equal_share(reference: Sequence[int], other: Sequence[int]) -> float:
    """Share of the reference's tokens before the first difference; 1 for an empty one."""
    same = 0
    for one, two in zip(reference, other, strict=False):
        if one != two:
            break
        same += 1
    return same / len(reference) if reference else 1.0
