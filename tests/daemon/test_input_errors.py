"""What was typed that no request can hold: one sentence and what to do, never a trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.base import report
from daemon.control.intake_messages import DropRequest, SignalRef
from daemon.control.messages import OpRef, StatusView, SubmitRequest
from daemon.exit_codes import Exit, input_error_of
from daemon.settings.config import Settings
from ledger.vocabulary import Frozen
from tests.repos import make_repo

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("request_type", "typed", "words"),
    [
        (SubmitRequest, {"goal": ""}, "goal cannot be ''"),
        (SubmitRequest, {"goal": "x" * 5_000}, "goal cannot be 'xxxxx"),
        (SignalRef, {"signal": ""}, "signal cannot be ''"),
        (DropRequest, {"signal": "7f3a21", "why": ""}, "why cannot be ''"),
        (OpRef, {"op": "y" * 300}, "op cannot be 'yyyyy"),
    ],
)
def test_a_slip_is_one_sentence(
    request_type: type[Frozen], typed: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="validation error") as caught:
        request_type(**typed)
    input_error = input_error_of(caught.value)
    assert input_error is not None
    assert report(input_error, as_json=False) == Exit.USAGE
    said = capsys.readouterr().err
    assert words in said and "it should have at" in said and "--help" in said
    assert len(said) < 250 and "pydantic" not in said


def test_what_nobody_typed_is_no_slip() -> None:
    for made in (lambda: StatusView(), lambda: Settings.model_validate({"unknown": 1}), lambda: int("x")):
        with pytest.raises(ValueError, match=r"validation error|invalid literal") as caught:
            made()
        assert input_error_of(caught.value) is None


def test_the_program_says_it(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", "from daemon.cli import main; main()", "--repo", str(repo), "submit", ""]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.USAGE
    assert done.stderr.startswith("ouro: goal cannot be ''") and "Traceback" not in done.stderr
