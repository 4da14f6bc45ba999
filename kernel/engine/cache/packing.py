"""Groups rows for computation. Pure: works on token numbers only.

Spans of one function share the code before them. The longest prefix is computed once as the *trunk*; every row uses the
part of the trunk that it agrees with and computes only the rest of its own prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MIN_SHARED = 16  # a shorter common prefix is not worth a pass of its own


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt. Its first ``shared`` tokens come from the trunk; the others are its own (at least one)."""

    span: int
    numbers: tuple[int, ...]
    shared: int
    max_tokens: int

    @property
    def rest(self) -> int:
        """Number of tokens that are not in the trunk."""
        return len(self.numbers) - self.shared


def common_prefix_length(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common prefix of two sequences."""
    for i, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return i
    return min(len(left), len(right))


def share_prefix(
    prompts: Sequence[Sequence[int]], prefixes: Sequence[int], limits: Sequence[int], *, again: bool = False
) -> tuple[list[int], list[Row]]:
    """The trunk (empty when nothing is saved) and the rows in the order of the prompts.

    ``again``: later requests will have the same prefix, so a trunk is made even where it saves nothing now.
    """
    longest = max(range(len(prompts)), key=lambda i: prefixes[i])
    trunk = list(prompts[longest][: prefixes[longest]])
    agreed = [min(common_prefix_length(trunk, prompt), len(prompt) - 1) for prompt in prompts]
    agreed = [n if n >= MIN_SHARED else 0 for n in agreed]
    if not any(agreed) or (sum(agreed) <= len(trunk) and not again):
        trunk, agreed = [], [0] * len(prompts)
    rows = [Row(i, tuple(p), n, m) for i, (p, n, m) in enumerate(zip(prompts, agreed, limits, strict=True))]
    return trunk, rows


def split_batches(rows: Sequence[Row], *, copies: int, cache_tokens: int, max_rows: int) -> Iterator[list[Row]]:
    """Rows to decode together: at most ``max_rows`` answers and ``cache_tokens`` places, at least one row.

    A row's own prompt is stored once, its answers ``copies`` times. Rows of similar length are grouped to reduce
    padding.
    """
    batch: list[Row] = []
    for row in sorted(rows, key=lambda r: (r.rest, r.max_tokens)):
        together = [*batch, row]
        places = len(together) * (row.rest + copies * max(r.max_tokens for r in together))
        if batch and (len(together) * copies > max_rows or places > cache_tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def split_prefill(batch: Sequence[Row], *, tokens: int) -> Iterator[list[Row]]:
    """Groups of rows whose own tokens are computed in one pass of at most ``tokens`` tokens, at least one row."""
    group: list[Row] = []
    for row in sorted(batch, key=lambda r: r.rest):
        if group and (len(group) + 1) * row.rest > tokens:
            yield group
            group = []
        group.append(row)
    if group:
        yield group
