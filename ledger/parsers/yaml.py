"""Bounded reader for untrusted YAML (:mod:`ledger.parsers`). Pure."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from ledger.parsers import UnreadableText

MOST_CHARS: Final = 1024 * 1024
DEEPEST: Final = 100
MOST_NODES: Final = 100_000
MOST_MERGED: Final = 100_000  # members copied by `<<`: lists of aliases there multiply with each level
# Integers may be written in base 60, where each part multiplies the whole value so far.
_NUMBER: Final = re.compile(r"[0-9_:]{301}")


def has_yaml() -> bool:
    """Whether a YAML library is installed."""
    return _reader() is not None


def read_yaml(text: str) -> Any:
    """The value of a YAML text, safe types only; aliases of a node share one object. Raises ``UnreadableText``."""
    reader = _reader()
    if reader is None:
        raise UnreadableText("no YAML library is installed")
    if len(text) > MOST_CHARS:
        raise UnreadableText(f"it is longer than {MOST_CHARS:,} characters")
    if _NUMBER.search(text) is not None:
        raise UnreadableText("it has a number of more than 300 digits")
    return reader(text)


@cache
def _reader() -> Callable[[str], Any] | None:
    try:
        library = importlib.import_module("yaml")
    except ImportError:
        return None
    base: Any = getattr(library, "CSafeLoader", library.SafeLoader)

    class Loader(base):  # type: ignore[misc]  # imported late
        """The safe loader, with a limit on the members that merges copy."""

        merged = 0

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            self.merged += len(node.value)
            if self.merged > MOST_MERGED:
                raise UnreadableText(f"it merges more than {MOST_MERGED:,} members")

    def read(text: str) -> Any:
        try:
            _count(library, base, text)
            return library.load(text, Loader=Loader)
        except UnreadableText:
            raise
        except library.YAMLError as error:
            raise UnreadableText(f"it is not valid YAML: {(str(error).splitlines() or ['?'])[0]}") from error
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            # from the library's constructors, for `!!int ""`, `!!bool x`, an impossible date
            raise UnreadableText(f"it is not valid YAML: {error}") from error

    return read


def _count(library: Any, loader: Any, text: str) -> None:
    """Raises ``UnreadableText`` for more nodes or nesting than the limits, before any value is built."""
    depth = 0
    for number, event in enumerate(library.parse(text, Loader=loader), start=1):
        if number > MOST_NODES:
            raise UnreadableText(f"it has more than {MOST_NODES:,} values")
        if isinstance(event, library.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise UnreadableText(f"it is nested deeper than {DEEPEST}")
        elif isinstance(event, library.CollectionEndEvent):
            depth -= 1
