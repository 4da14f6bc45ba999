"""The error tree.

OuroError
├── ConfigError            a setting is unknown, malformed or out of range
├── MachineFault           a disk is full, no descriptors are left, something odd lies in a file's place
├── LedgerError            the record cannot be read or written
│   ├── ChainBroken        a stored row does not hash to what the chain says
│   ├── ForeignLedger      the file is not ours, or of a newer schema
│   └── LedgerReadOnly     writing is off: disk full, file locked, or degraded on purpose
├── RepositoryError        the git repository is not in a state that can be worked on
│   ├── RepositoryBusy     a merge, rebase, bisect or cherry-pick is under way
│   └── GitFailed          a git command ended with an error
├── TestsUnavailable       the repository's own tests give no answer
├── AdvisoriesUnavailable  a source of advisories gives no answer
├── ChildFailed            a child process could not be started
│   └── ProgramMissing     there is no such program that may be run
├── SandboxError           a child could not be confined
│   └── SandboxMissing     no back end holds its walls on this machine
├── PolicyRefused          a deterministic rule said no (names the rule)
├── BudgetExhausted        a ceiling would be passed (names which)
├── ProviderError          a model could not answer
│   ├── ProviderUnavailable  nothing listens, weights are missing, a deadline passed
│   └── ProviderBadOutput    it answered, but not in the form that was asked
│       └── CollapseDetected   what came was no longer an answer (kernel/canary)
├── ChangeError            a change could not be applied or taken back
│   ├── StaleBase          the files are not those that were read
│   ├── ApplyConflict      the owner's files are in the way
│   └── HookRefused        the repository's own hook said no
├── ToolError              a tool could not do what a model asked of it
├── TransitionRefused      the state machine has no such edge
├── PhaseContract          a phase returned what it may not return
├── LeaseLost              an op was taken back from the worker that held it
├── InstanceHeld           another daemon owns this repository
└── ControlError           a request over the socket was refused
    └── NoDaemon           nothing answers on the socket

Every error says what happened, why, and what to do (``remedy``).
"""

from __future__ import annotations


class OuroError(Exception):
    """Base of every error that Ouroboros raises on purpose.

    ``message`` is one sentence: what happened and why. ``remedy`` is what the reader can do about it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class ConfigError(OuroError):
    """A setting is unknown, malformed or out of range."""


class MachineFault(OuroError):
    """The machine did not do what it was asked: see ``ledger/faults.py``."""


class LedgerError(OuroError):
    """The record cannot be read or written."""


class ChainBroken(LedgerError):
    """A stored row does not hash to what the chain says."""

    def __init__(self, message: str, *, seq: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.seq = seq


class ForeignLedger(LedgerError):
    """The file is not ours, or of a newer schema."""


class LedgerReadOnly(LedgerError):
    """Writing is off: disk full, file locked, or degraded on purpose."""


class RepositoryError(OuroError):
    """The git repository is not in a state that can be worked on."""


class RepositoryBusy(RepositoryError):
    """A merge, rebase, bisect or cherry-pick is under way."""


class GitFailed(RepositoryError):
    """A git command ended with an error."""

    def __init__(self, message: str, *, argv: tuple[str, ...], code: int, stderr: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.argv = argv
        self.code = code
        self.stderr = stderr


class TestsUnavailable(OuroError):
    """The repository's own tests give no answer: no pytest, no tests, a suite that hangs."""

    __test__ = False  # not a pytest class


class AdvisoriesUnavailable(OuroError):
    """A source of advisories gives no answer: not there, too slow, too much, or not in its form."""


class ChildFailed(OuroError):
    """A child process could not be started."""


class ProgramMissing(ChildFailed):
    """There is no such program; or (``refused``) there is one, and it may not be run outside the sandbox."""

    def __init__(self, message: str, *, refused: bool, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.refused = refused


class SandboxError(OuroError):
    """A child could not be confined."""


class SandboxMissing(SandboxError):
    """No back end holds its walls on this machine."""


class PolicyRefused(OuroError):
    """A deterministic rule said no."""

    def __init__(self, message: str, *, rule: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.rule = rule


class BudgetExhausted(OuroError):
    """A ceiling would be passed; ``ceiling`` names which (``per_call``, ``per_op``, ``per_day`` ...)."""

    def __init__(self, message: str, *, ceiling: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.ceiling = ceiling


class ProviderError(OuroError):
    """A model could not answer."""

    def __init__(self, message: str, *, provider: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.provider = provider


class ProviderUnavailable(ProviderError):
    """Nothing listens, weights are missing, or a deadline passed."""

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        remedy: str = "",
        kind: str = "connection",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, provider=provider, remedy=remedy)
        self.kind = kind  # connection, first_byte, idle, total, rate_limited, server, weights, memory
        self.retry_after_s = retry_after_s


class ProviderBadOutput(ProviderError):
    """It answered, but not in the form that was asked."""


class ChangeError(OuroError):
    """A change could not be applied or taken back."""


class StaleBase(ChangeError):
    """The files are not those that were read."""

    def __init__(self, message: str, *, paths: tuple[str, ...], remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.paths = paths


class ApplyConflict(ChangeError):
    """The owner's files are in the way."""

    def __init__(self, message: str, *, paths: tuple[str, ...], remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.paths = paths


class HookRefused(ChangeError):
    """The repository's own hook said no."""

    def __init__(self, message: str, *, hook: str, output: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.hook = hook
        self.output = output


class ToolError(OuroError):
    """A tool could not do what a model asked of it; the text goes back to the model."""


class TransitionRefused(OuroError):
    """The state machine has no such edge."""


class PhaseContract(OuroError):
    """A phase returned what it may not return."""


class LeaseLost(OuroError):
    """An op was taken back from the worker that held it, or never was active."""

    def __init__(self, message: str, *, op_id: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.op_id = op_id


class InstanceHeld(OuroError):
    """Another daemon owns this repository."""


class ControlError(OuroError):
    """A request over the control socket was refused."""

    def __init__(self, message: str, *, code: int = -32000, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


class NoDaemon(ControlError):
    """Nothing answers on the socket."""
