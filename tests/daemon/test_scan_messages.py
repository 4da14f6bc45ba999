"""What a person who asked for work is told besides the scan's own line."""

from __future__ import annotations

import pytest

from daemon.lifecycle.service import waiting_for
from daemon.views.scan_messages import duplicate_notice, uncommitted_notice
from kernel.provider import Capabilities
from tests.daemon.scripted_api import OP


@pytest.mark.parametrize(
    ("dirty", "eager", "told"),
    [
        ((), False, ""),
        ((".ouro/config.toml",), False, ""),
        (("a.py",), True, ""),
        (("a.py",), False, "1 file has uncommitted changes, which are not looked at: commit them, or set"),
        (("a.py", "b.py", ".ouro/config.toml"), False, "2 files have uncommitted changes, which are not"),
    ],
)
def test_what_is_not_looked_at(dirty: tuple[str, ...], eager: bool, told: str) -> None:
    said = uncommitted_notice(dirty, eager=eager)
    assert said.startswith(told) and bool(said) is bool(told)


def test_a_duplicate_is_said_for_a_person() -> None:
    assert duplicate_notice(("1c7f3a",)) == "The daemon is at it already: op-1c7f3a."
    assert duplicate_notice(()) == "The daemon has it in its queue already."


def test_who_takes_a_goal_in_words() -> None:
    assert Capabilities(infill=True, local=True).only_fills
    assert not Capabilities(infill=True, tools=True).only_fills and not Capabilities().only_fills


def test_what_a_stop_waits_for() -> None:
    assert waiting_for((), 10) == "stopping"
    assert waiting_for((OP,), 10) == "stopping: waiting up to 10 s for op-1c7f3a; once more ends it now"
