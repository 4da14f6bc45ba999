"""The sentence for a run in which tests asked for a kind of socket that the sandbox does not give."""

from __future__ import annotations

import errno
import os

from ledger.vocabulary import RunStatus, TestRun

SAID = os.strerror(errno.EAFNOSUPPORT)
WHY = (
    "A test asked for a kind of socket that is not there inside. Unix sockets are there while no folder is shown by "
    "the settings tests.readable and sandbox.read_only and none lies in the tests' environment, never behind Landlock; "
    "pairs always; vsock, packets and the like never."
)


def with_reason(run: TestRun) -> TestRun:
    """``run``, where a test is red because of that with what to know of it."""
    if run.status is not RunStatus.RED or not any(SAID in (r.message + r.detail) for r in run.red):
        return run
    return run.model_copy(update={"reason": f"{run.reason} {WHY}"})
