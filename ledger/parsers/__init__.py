"""Bounded readers for untrusted structured text: TOML, JSON, INI, YAML. Only they call the parsers on such text.

A parser's time and stack depend on the structure of a text, not on its length: deep brackets overflow the stack, a key
of 60,000 dotted parts or a number of 100,000 digits keeps a core busy for minutes, in a thread that cannot be stopped.
So each reader checks the structure first, in one linear pass, and raises :class:`UnreadableText` beyond its limits. It
raises nothing else.
"""

from __future__ import annotations


class UnreadableText(ValueError):
    """The text is not valid in its format, or beyond a limit. The message is a clause: ``it is not valid TOML``."""
