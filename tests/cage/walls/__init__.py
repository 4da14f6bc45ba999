"""Attacks from outside, a module each: ``f01_...`` and so on, by the numbers of docs/threat-model.md.

A module has ``async def attack(base: Path, backend: str, wall: bool) -> list[str]``. It plays the whole attack with the
real parts below the empty folder ``base`` and returns what got through, a short name each: nothing when the wall
stands, at least one when ``wall`` is False. Then it takes away the wall that it is about, and nothing else: without
that the trap would prove nothing. ``Unable`` says by name why it cannot be played here. ``BACKENDS`` names the back
ends that make a difference, where not both do; ``USERS`` likewise (``anybody``: it makes none). Where the wall stands
``BEFORE_THE_SANDBOX``, one back end is played as root and the other as an ordinary user; the rest is long.

Each play is a process of its own (:mod:`tests.cage.walls.__main__`), so what a module replaces is gone afterwards.
"""

from __future__ import annotations


class Unable(Exception):
    """The attack cannot be played on this machine; the text says why, and the test is skipped with it."""
