from __future__ import annotations

import socket
from pathlib import Path

import pytest

from daemon.lifecycle.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_what_the_manager_hears(tmp_path: Path, abstract: bool) -> None:
    name = f"ouro-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        manager.settimeout(5)
        notifier = Notifier("@" + name if abstract else name, watchdog_s=3.0)
        assert notifier.watchdog_s == 3.0
        heard = []
        for send in (lambda: notifier.ready("a\nb"), notifier.watchdog, lambda: notifier.stopping("bye")):
            assert send()
            heard.append(manager.recv(1000).decode())
        assert heard == ["READY=1\nSTATUS=a b", "WATCHDOG=1", "STOPPING=1\nSTATUS=bye"]


@pytest.mark.parametrize("address", [None, "", "relative", "/nobody/there"])
def test_without_a_manager_nothing_happens(address: str | None) -> None:
    notifier = Notifier(address, watchdog_s=3.0)
    assert not notifier.ready("x") and not notifier.status("x")


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier(str(tmp_path / "notify"))
        assert not all(notifier.status("x" * 1000) for _ in range(5000))
