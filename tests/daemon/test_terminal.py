"""Colours at a real terminal, and who wants none."""

from __future__ import annotations

import os
import pty

import pytest

from daemon.settings.terminal import takes_colour


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_gets_colours_unless_its_owner_wants_none(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], wanted: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    keeper, terminal = pty.openpty()
    with os.fdopen(keeper, "rb"), os.fdopen(terminal, "w") as stream:
        assert takes_colour(stream) is wanted
    with open(os.devnull, "w") as nowhere:
        assert not takes_colour(nowhere)
