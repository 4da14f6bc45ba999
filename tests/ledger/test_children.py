from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from ledger import children
from ledger.children import TooMuch, ask, own_python, start
from ledger.errors import ChildFailed

ROOT = Path("/")


def test_a_child_has_the_environment_that_it_is_given_and_no_other() -> None:
    done = ask(("/usr/bin/env",), cwd=ROOT, env={"A": "b"}, timeout_s=20)
    assert (done.code, done.text, done.said) == (0, "A=b", "")


def test_what_it_is_given_and_both_streams() -> None:
    done = ask(("/bin/sh", "-c", "cat; echo no >&2; exit 3"), cwd=ROOT, env={}, timeout_s=20, given=b"in")
    assert (done.code, done.out, done.err) == (3, b"in", b"no\n")


@pytest.mark.parametrize("name", ["sh", "./sh", "bin/sh", ""])
def test_a_bare_name_is_looked_up_by_nobody(name: str) -> None:
    with pytest.raises(ChildFailed, match="not an absolute path"):
        start((name,), cwd=ROOT, env={"PATH": "/bin"})


def test_only_our_own_interpreter_inherits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "yes")
    with pytest.raises(ChildFailed, match="environment of its own"):
        start(("/bin/sh",), cwd=ROOT, env=None)
    done = ask(own_python("-c", "import os; print(os.environ['OURS'])"), cwd=ROOT, env=None, timeout_s=60)
    assert done.text == "yes"


def test_our_own_interpreter_takes_nothing_from_a_folder_or_a_variable(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("print('theirs')\n")
    env = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "json.py")}
    done = ask(own_python("-c", "import json"), cwd=tmp_path, env=env, timeout_s=60)
    assert (done.code, done.out) == (0, b"")
    unsafe = ask((sys.executable, "-c", "import json"), cwd=tmp_path, env={}, timeout_s=60)
    assert unsafe.text == "theirs", "the trap itself works"


def test_who_takes_too_long_is_ended_with_all_that_he_started() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        ask(("/bin/sh", "-c", "sleep 60 & sleep 60"), cwd=ROOT, env={"PATH": "/bin:/usr/bin"}, timeout_s=0.3)
    assert time.monotonic() - began < 30


def test_who_is_ended_may_take_his_locks_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock"
    words = f"trap 'rm {lock}; exit' TERM; touch {lock}; while :; do sleep 0.01; done"

    def left_by(ask_for: str) -> bool:
        with pytest.raises(TimeoutError):
            ask(("/bin/sh", "-c", ask_for), cwd=ROOT, env={"PATH": "/bin:/usr/bin"}, timeout_s=0.3)
        return lock.exists()

    assert not left_by(words)
    monkeypatch.setattr(children, "GRACE_S", 0.1)
    assert left_by(f"trap '' TERM; touch {lock}; sleep 60"), "who does not hear is ended all the same"
    lock.unlink()
    monkeypatch.setattr(children.signal, "SIGTERM", children.signal.SIGKILL)
    assert left_by(words), "the trap itself works"


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        ask(("/nowhere/tool",), cwd=ROOT, env={}, timeout_s=5)


def test_who_says_more_than_is_taken_is_ended() -> None:
    began = time.monotonic()
    for words in ("while :; do echo much; done", "while :; do echo much >&2; done"):
        with pytest.raises(TooMuch, match="more than 100000 bytes"):
            ask(("/bin/sh", "-c", words), cwd=ROOT, env={}, timeout_s=60, most_bytes=100_000)
    assert time.monotonic() - began < 30
    with pytest.raises(TimeoutError):  # the trap itself works
        ask(("/bin/sh", "-c", "while :; do echo much; done"), cwd=ROOT, env={}, timeout_s=0.2, most_bytes=1 << 40)


def test_much_in_and_much_out() -> None:
    data = bytes(range(256)) * 20_000
    assert ask(("/bin/cat",), cwd=ROOT, env={}, timeout_s=60, given=data).out == data
    assert ask(("/bin/true",), cwd=ROOT, env={}, timeout_s=60, given=data).code == 0, "nobody reads it"
    done = ask(("/bin/sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 7"), cwd=ROOT, env={}, timeout_s=60)
    assert done.code == 7, "who closes his streams has not ended"
