"""Readers of structured text that others wrote: TOML, JSON, INI, YAML. The only callers of the parsers themselves.

A parser takes time and stack in proportion to what the text asks for, not to its length: brackets without end overflow
the stack, a key of 60,000 dotted parts or a number of 100,000 digits keeps a core busy for minutes, in a thread that
nothing can end. So each reader counts first, in one linear pass, and raises :class:`UnreadableText` for what no person
writes. It raises nothing else.
"""

from __future__ import annotations


class UnreadableText(ValueError):
    """A text is not of its format, or beyond a limit. The message is a clause, as ``it is not valid TOML``."""
