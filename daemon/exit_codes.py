"""Exit codes: what a script can rely on, and which error gives which code."""

from __future__ import annotations

from enum import IntEnum

from ledger.errors import (
    BudgetExhausted,
    ChangeError,
    ConfigError,
    ControlError,
    InstanceHeld,
    NoDaemon,
    OuroError,
    PolicyRefused,
    ProviderError,
    RepositoryBusy,
    RepositoryError,
    SandboxMissing,
    TestsUnavailable,
)


class Exit(IntEnum):
    """The closed list of exit codes of ``ouro``."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    PERSON = 3
    REFUSED = 4
    NOTHING = 5
    NO_DAEMON = 6
    RESTART = 75
    STOPPED = 130


MEANING: dict[Exit, str] = {
    Exit.DONE: "done",
    Exit.FAULT: "a fault of ours",
    Exit.USAGE: "wrong usage or settings",
    Exit.PERSON: "it needs a person: something waits, no repair was found, or it was cancelled",
    Exit.REFUSED: "refused by a rule, or something that is needed is missing",
    Exit.NOTHING: "nothing to do",
    Exit.NO_DAEMON: "no daemon answers",
    Exit.RESTART: "the daemon asks to be restarted",
    Exit.STOPPED: "stopped by a signal before the end",
}

_BY_ERROR: tuple[tuple[type[OuroError], Exit], ...] = (
    (NoDaemon, Exit.NO_DAEMON),
    (ConfigError, Exit.USAGE),
    (InstanceHeld, Exit.USAGE),
    (RepositoryBusy, Exit.PERSON),
    (RepositoryError, Exit.USAGE),
    (PolicyRefused, Exit.REFUSED),
    (BudgetExhausted, Exit.REFUSED),
    (SandboxMissing, Exit.REFUSED),
    (ProviderError, Exit.REFUSED),
    (TestsUnavailable, Exit.REFUSED),
    (ChangeError, Exit.REFUSED),
    (ControlError, Exit.USAGE),
)


def exit_for_error(error: OuroError) -> Exit:
    """The exit code of a command that ended with ``error``."""
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    return Exit.FAULT


def epilog() -> str:
    """The table below ``ouro --help``."""
    return "Exit codes: " + " · ".join(f"{int(code)} {text}" for code, text in MEANING.items()) + "."


def input_error_of(error: ValueError) -> OuroError | None:
    """The error to report for input that fails validation of a request; None for any other error."""
    from pydantic import ValidationError

    if not (isinstance(error, ValidationError) and error.title.endswith(("Request", "Ref", "Utterance"))):
        return None
    first = error.errors(include_url=False, include_context=False)[0]
    name = " ".join(str(part).replace("_", "-") for part in first["loc"]) or "that"
    told = first["msg"].removeprefix("Value error, ").replace("String should", "it should")
    typed = first["input"] if len(str(first["input"])) <= 40 else f"{str(first['input'])[:37]}..."
    return ControlError(f"{name} cannot be {typed!r}: {told}.", remedy="The command's --help shows an example.")
