"""What the converter reads from: published weights of any kind, by their published names, a slice of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kernel.loop.config import LoopConfig
from kernel.loop.published import expected_parameters, published_shapes
from ledger.errors import OuroError

if TYPE_CHECKING:
    from kernel.weights.four_bits import Codes
    from kernel.weights.rounding import Floats

_SHOWN = 3


class Checkpoint(Protocol):
    """A vector of n numbers is one row of n columns here. Reading is safe from several threads."""

    @property
    def config(self) -> LoopConfig: ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """What is stored, by published name."""

    def rows(self, name: str, first: int, count: int) -> Floats:
        """Rows (count, columns), exactly the stored numbers."""

    def codes(self, name: str, first: int, count: int) -> Codes | None:
        """The same rows as the four-bit codes that they are stored as; ``None`` when they are not."""

    def write_tokenizer(self, folder: Path) -> None:
        """``tokenizer.json``, and ``chat_template.jinja`` where there is one."""


def check_whole(config: LoopConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ``OuroError`` unless ``shapes`` are just the tensors of the decoder."""
    expected = published_shapes(config)
    for problem, names in (
        ("The weights lack", expected.keys() - shapes.keys()),
        ("The weights hold what the decoder does not have:", shapes.keys() - expected.keys()),
    ):
        if names:
            shown = sorted(names)
            more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
            raise OuroError(
                f"{problem} {', '.join(shown[:_SHOWN])}{more}.",
                remedy="They are damaged, or of a model that is built in another way.",
            )
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise OuroError(
                f"The tensor {name} has the shape {list(shapes[name])}; the configuration says {list(shape)}.",
                remedy="The configuration belongs to other weights, or the file is damaged.",
            )
    wanted, found = expected_parameters(config), sum(map(prod, shapes.values()))
    if wanted is not None and found != wanted:
        raise OuroError(
            f"The weights have {found:,} numbers; the published Ouro of {config.layers} layers has {wanted:,}.",
            remedy="They are not the published ones: check where they come from.",
        )
