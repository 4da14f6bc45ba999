"""The error hierarchy.

OuroError
├── ConfigError            a setting is unknown, malformed or out of range
├── MachineFault           a disk is full, no descriptors are left, a path is not the file that it should be
├── LedgerError            the ledger cannot be read or written
│   ├── ChainBroken        a stored row does not match the hash chain
│   ├── ForeignLedger      the file is no ledger of this repository, or of a newer schema
│   └── LedgerReadOnly     writing is off: disk full, file locked, or degraded on purpose
├── RepositoryError        the git repository is not in a state that can be worked on
│   ├── RepositoryBusy     a merge, rebase, bisect or cherry-pick is under way
│   └── GitFailed          a git command ended with an error
├── TestsUnavailable       the repository's tests give no result
├── AdvisoriesUnavailable  a source of advisories gives no result
├── ChildFailed            a child process could not be started
│   └── ProgramMissing     the program does not exist, or may not be run
├── SandboxError           a child process could not be sandboxed
│   └── SandboxMissing     no sandbox back end works on this machine
├── PolicyRefused          a deterministic rule refused (``rule``)
├── BudgetExhausted        a limit on cost would be exceeded (``ceiling``)
├── ProviderError          a model could not answer
│   ├── ProviderUnavailable  nothing listens, weights are missing, a deadline passed
│   └── ProviderBadOutput    the answer is not in the requested format
│       └── CollapseDetected   the output degenerated, e.g. into repetition (kernel/canary)
├── ChangeError            a change could not be applied or taken back
│   ├── StaleBase          the files changed since they were read
│   ├── ApplyConflict      the owner's files are in the way
│   └── HookRefused        a git hook of the repository failed
├── ToolError              a tool call failed; the message goes to the model
├── TransitionRefused      the state machine has no such edge
├── PhaseContract          a phase returned a value that its contract does not allow
├── LeaseLost              a worker no longer holds its op
├── InstanceHeld           another daemon owns this repository
└── ControlError           a request over the socket was refused
    └── NoDaemon           no daemon answers on the socket

Every error has a message (what happened and why) and, where there is one, a ``remedy``.
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
    """An error of the operating system: full disk, no descriptors left ... Made by ``ledger/faults.py``."""


class LedgerError(OuroError):
    """The ledger cannot be read or written."""


class ChainBroken(LedgerError):
    """A stored row does not match the hash chain; ``seq`` is its number."""

    def __init__(self, message: str, *, seq: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.seq = seq


class ForeignLedger(LedgerError):
    """The file is not a ledger of this repository, or of a newer schema."""


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
    """The repository's tests give no result: no pytest, no tests, a suite that hangs."""

    __test__ = False  # not a pytest class


class TestNotFound(TestsUnavailable):
    """A test that was named gives no result; there may be none of that name."""


class AdvisoriesUnavailable(OuroError):
    """A source of advisories gives no result: absent, too slow, too large or malformed."""


class ChildFailed(OuroError):
    """A child process could not be started."""


class ProgramMissing(ChildFailed):
    """The program does not exist; or (``refused``) it does, and may not be run outside the sandbox."""

    def __init__(self, message: str, *, refused: bool, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.refused = refused


class SandboxError(OuroError):
    """A child process could not be sandboxed."""


class SandboxMissing(SandboxError):
    """No sandbox back end works on this machine."""


class PolicyRefused(OuroError):
    """A deterministic rule refused; ``rule`` is its name."""

    def __init__(self, message: str, *, rule: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.rule = rule


class BudgetExhausted(OuroError):
    """A limit on cost would be exceeded; ``ceiling`` names it (``per_call``, ``per_op``, ``per_day`` ...)."""

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
    """The answer is not in the requested format."""


class ChangeError(OuroError):
    """A change could not be applied or taken back."""


class StaleBase(ChangeError):
    """The files (``paths``) changed since they were read."""

    def __init__(self, message: str, *, paths: tuple[str, ...], remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.paths = paths


class ApplyConflict(ChangeError):
    """The owner's files or branches are in the way; ``paths`` are the files of the change concerned."""

    def __init__(self, message: str, *, paths: tuple[str, ...], remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.paths = paths


class HookRefused(ChangeError):
    """A git hook of the repository failed; ``output`` is what it printed."""

    def __init__(self, message: str, *, hook: str, output: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.hook = hook
        self.output = output


class ToolError(OuroError):
    """A tool call failed; the message goes back to the model."""


class TransitionRefused(OuroError):
    """The state machine has no such edge."""


class PhaseContract(OuroError):
    """A phase returned a value that its contract does not allow."""


class LeaseLost(OuroError):
    """The worker no longer holds the lease of the op, or the op never was active."""

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
    """No daemon answers on the socket."""
