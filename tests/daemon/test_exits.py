from __future__ import annotations

import pytest

from daemon.exit_codes import MEANING, Exit, epilog, exit_for_error
from daemon.lifecycle.exits import exit_for_op, worst
from ledger import errors
from ledger.vocabulary import OpOutcome, Phase, RootCause, State


@pytest.mark.parametrize(
    ("state", "cause", "code"),
    [
        (OpOutcome.COMPLETE, RootCause.NONE, Exit.DONE),
        (OpOutcome.NOOP, RootCause.NONE, Exit.NOTHING),
        (Phase.APPROVE, RootCause.NONE, Exit.PERSON),
        (OpOutcome.BLOCKED, RootCause.BLOCKED_PATH, Exit.REFUSED),
        (OpOutcome.CANCELLED, RootCause.APPROVAL_EXPIRED, Exit.REFUSED),
        (OpOutcome.CANCELLED, RootCause.CANCELLED_BY_OWNER, Exit.PERSON),
        (OpOutcome.POSTMORTEM, RootCause.NO_CANDIDATE, Exit.PERSON),
        (OpOutcome.POSTMORTEM, RootCause.BUDGET_EXHAUSTED, Exit.REFUSED),
        (OpOutcome.POSTMORTEM, RootCause.PROVIDER_UNAVAILABLE, Exit.REFUSED),
        (OpOutcome.POSTMORTEM, RootCause.INTERNAL, Exit.FAULT),
        (OpOutcome.FAILED_PERMANENT, RootCause.NONE, Exit.FAULT),
    ],
)
def test_the_code_of_an_op(state: State, cause: RootCause, code: Exit) -> None:
    assert exit_for_op(state, cause) is code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NoDaemon("x"), Exit.NO_DAEMON),
        (errors.ConfigError("x"), Exit.USAGE),
        (errors.RepositoryError("x"), Exit.USAGE),
        (errors.RepositoryBusy("x"), Exit.PERSON),
        (errors.PolicyRefused("x", rule="r"), Exit.REFUSED),
        (errors.SandboxMissing("x"), Exit.REFUSED),
        (errors.TestsUnavailable("x"), Exit.REFUSED),
        (errors.ChangeError("x"), Exit.REFUSED),
        (errors.ControlError("x"), Exit.USAGE),
        (errors.ProviderUnavailable("x", provider="p"), Exit.REFUSED),
        (errors.LedgerError("x"), Exit.FAULT),
    ],
)
def test_the_code_of_an_error(error: errors.OuroError, code: Exit) -> None:
    assert exit_for_error(error) is code


def test_several_ops_end_with_the_worst() -> None:
    assert worst([]) is Exit.NOTHING
    assert worst([Exit.DONE, Exit.NOTHING]) is Exit.DONE
    assert worst([Exit.DONE, Exit.REFUSED, Exit.PERSON]) is Exit.PERSON
    assert worst([Exit.DONE, Exit.FAULT, Exit.PERSON]) is Exit.FAULT


def test_every_code_is_explained() -> None:
    assert set(MEANING) == set(Exit)
    assert all(str(int(code)) in epilog() for code in Exit)
