"""Changing the owner's repository: apply, roll back, commit, undo, and recovery after a crash.

Nothing else in Ouroboros writes to the owner's files, branches or index.
"""

from governance.changes.changes import Changes
from governance.changes.effects import Effects
from governance.changes.hooks import HookResult, HookRunner, NoHooks, OwnerHooks, SandboxedHooks, make_hooks
from governance.changes.settings import ChangeSettings
from governance.changes.signing import Identity, ensure_identity
from governance.changes.types import (
    CommitCheck,
    Committed,
    CommitText,
    Landing,
    Prepared,
    Receipt,
    Recovered,
    Rollback,
)

__all__ = [
    "ChangeSettings",
    "Changes",
    "CommitCheck",
    "CommitText",
    "Committed",
    "Effects",
    "HookResult",
    "HookRunner",
    "Identity",
    "Landing",
    "NoHooks",
    "OwnerHooks",
    "Prepared",
    "Receipt",
    "Recovered",
    "Rollback",
    "SandboxedHooks",
    "ensure_identity",
    "make_hooks",
]
