"""The remark on a run in which tests requested a kind of socket that the sandbox does not have."""

from __future__ import annotations

import errno
import os

from ledger.vocabulary import RunStatus, TestRun

SAID = os.strerror(errno.EAFNOSUPPORT)
WHY = (
    "A test requested a kind of socket that does not exist inside. Unix sockets exist while no folder is shown by "
    "the settings tests.readable and sandbox.read_only and none is in the tests' environment, never with Landlock; "
    "pairs always; vsock, packets and the like never."
)


def with_reason(run: TestRun) -> TestRun:
    """``run``, with the remark when a test is red because of that."""
    if run.status is not RunStatus.RED or not any(SAID in (r.message + r.detail) for r in run.red):
        return run
    return run.model_copy(update={"reason": f"{run.reason} {WHY}"})
