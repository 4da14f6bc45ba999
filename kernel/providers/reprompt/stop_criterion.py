"""Stop criterion of the re-prompt loop, from the answers so far. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from kernel.providers.reprompt import confidence

Exit = Literal["threshold_met", "converged", "max_loops"]

THRESHOLD: Final = 0.85
"""Confidence from which on an answer is accepted."""
STEADY: Final = 0.04
"""Difference below which two successive answers count as converged."""
_TOKEN = re.compile(r"\w+|[^\w\s]|\n[ \t]*")  # indentation is part of the answer


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """One usable answer without its confidence line. ``whole``: not cut off by the token limit."""

    text: str
    confidence: float
    whole: bool = True


def parse_answer(raw: str, *, cut: bool) -> CheckedAnswer:
    """The answer with its stated confidence, else with one estimated from its form."""
    text, stated = confidence.split_confidence(raw)
    value = confidence.estimate_confidence(text, cut=cut) if stated is None else stated
    return CheckedAnswer(text.strip("\n"), min(value, confidence.CUT) if cut else value, whole=not cut)


def text_difference(before: str, after: str) -> float:
    """Difference of two texts in [0, 1]: one minus the overlap (Dice) of their bigrams of tokens."""
    a, b = _token_pairs(before), _token_pairs(after)
    total = a.total() + b.total()
    return 1.0 - 2.0 * (a & b).total() / total if total else 0.0


def _token_pairs(text: str) -> Counter[tuple[str, str]]:
    tokens = ["", *_TOKEN.findall(text.strip()), ""]
    return Counter(pairwise(tokens))


def stop_reason(answers: Sequence[CheckedAnswer], passes: int) -> Exit | None:
    """Why the last of ``answers`` (at least one) ends the loop; None to continue."""
    if answers[-1].confidence >= THRESHOLD:
        return "threshold_met"
    if len(answers) > 1 and text_difference(answers[-2].text, answers[-1].text) < STEADY:
        return "converged"
    return "max_loops" if len(answers) >= passes else None


def contraction_milli(answers: Sequence[CheckedAnswer]) -> int | None:
    """The last change relative to the one before, in thousandths; None without two changes."""
    if len(answers) < 3:
        return None
    earlier, later = (text_difference(a.text, b.text) for a, b in zip(answers[-3:-1], answers[-2:], strict=True))
    return round(1000 * later / earlier) if earlier else None


def is_worse(answer: CheckedAnswer, before: CheckedAnswer) -> bool:
    """True for an empty answer, or a cut-off one after a complete one; the stated confidence does not count."""
    return not answer.text.strip() or (before.whole and not answer.whole)
