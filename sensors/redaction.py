"""Removes secrets from test results and signals before they are recorded."""

from __future__ import annotations

from ledger.vocabulary import OwnerConfirms, Signal, SuiteAnswers, TestRun, TestsPass
from sensors.ports import Redact

LONGEST_GOAL = 2_000


def id_without_secrets(test: str, redact: Redact) -> str:
    """The id of a test, or if that contains a secret, of what holds the test: its function, else its file.

    An id is run again, so nothing of it can be blotted out; who asks for a function gets all of its parameters.
    """
    for named in (test, test.partition("[")[0]):
        if redact(named) == named:
            return named
    return test.partition("::")[0]


def run_without_secrets(run: TestRun, redact: Redact) -> TestRun:
    """A run with such ids; of results that come to share one, the red ones come last and count."""
    results = [
        result.model_copy(update={"id": id_without_secrets(result.id, redact)}) if result.outcome.red else result
        for result in run.results
    ]
    if results == list(run.results):
        return run.model_copy(update={"reason": redact(run.reason)})
    ordered = sorted(results, key=lambda result: result.outcome.red)
    return run.model_copy(update={"results": tuple(ordered), "reason": redact(run.reason)})


def signal_without_secrets(signal: Signal, redact: Redact) -> Signal:
    """The signal as it may be recorded: its words redacted, its tests named by ids without secrets."""
    closure = signal.closure
    if isinstance(closure, TestsPass | SuiteAnswers):
        ids = tuple(dict.fromkeys(id_without_secrets(test, redact) for test in closure.ids))
        closure = closure.model_copy(update={"ids": ids})
    elif isinstance(closure, OwnerConfirms):
        closure = closure.model_copy(update={"question": redact(closure.question)})
    evidence = tuple(
        each.model_copy(update={"claim": redact(each.claim), "evidence": redact(each.evidence)})
        for each in signal.evidence
    )
    told = {"goal": redact(signal.goal)[:LONGEST_GOAL], "closure": closure, "evidence": evidence}
    return signal.model_copy(update=told)
