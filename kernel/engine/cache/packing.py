"""Groups prompts (rows) for computation, and finds the prefix that they share. Pure: works on token ids only.

Prompts for spans of one function share the code before the span. The longest such prefix is computed once as the
*trunk*; a row reuses as much of the trunk as its own prompt begins with, and computes only the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MIN_SHARED = 16  # tokens; a shorter common prefix is not worth a forward pass


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt. Its first ``shared`` tokens come from the trunk; the others (at least one) are computed for it."""

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
    """The trunk (empty when it would save nothing) and the rows in the order of the prompts.

    ``prefixes``: length in tokens of each prompt's part before the span. ``again``: later requests will have the same
    prefix, so a trunk is made even if it saves nothing now.
    """
    longest = max(range(len(prompts)), key=lambda i: prefixes[i])
    trunk = list(prompts[longest][: prefixes[longest]])
    shared_lengths = [min(common_prefix_length(trunk, prompt), len(prompt) - 1) for prompt in prompts]
    shared_lengths = [n if n >= MIN_SHARED else 0 for n in shared_lengths]
    if not any(shared_lengths) or (sum(shared_lengths) <= len(trunk) and not again):
        trunk, shared_lengths = [], [0] * len(prompts)
    rows = [Row(i, tuple(p), n, m) for i, (p, n, m) in enumerate(zip(prompts, shared_lengths, limits, strict=True))]
    return trunk, rows


def split_batches(rows: Sequence[Row], *, copies: int, cache_tokens: int, max_rows: int) -> Iterator[list[Row]]:
    """Batches of rows to decode together: at most ``max_rows`` answers and ``cache_tokens`` cached tokens, but at least
    one row.

    A row's own prompt is cached once, each of its ``copies`` answers as well. Rows of similar length are grouped to
    reduce padding.
    """
    batch: list[Row] = []
    for row in sorted(rows, key=lambda r: (r.rest, r.max_tokens)):
        candidate_batch = [*batch, row]
        places = len(candidate_batch) * (row.rest + copies * max(r.max_tokens for r in candidate_batch))
        if batch and (len(candidate_batch) * copies > max_rows or places > cache_tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def split_prefill(batch: Sequence[Row], *, tokens: int) -> Iterator[list[Row]]:
    """Groups of rows whose prompts are computed in one pass of at most ``tokens`` tokens, but at least one row."""
    group: list[Row] = []
    for row in sorted(batch, key=lambda r: r.rest):
        if group and (len(group) + 1) * row.rest > tokens:
            yield group
            group = []
        group.append(row)
    if group:
        yield group
