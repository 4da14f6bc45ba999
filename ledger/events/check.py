"""Tool calls, test runs and the verdicts of gates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.events.event import LedgerEvent
from ledger.vocabulary import EntryKind, Frozen, Phase, RunStatus, Verdict


class RunReport(Frozen):
    """Summary of a test run, for the record."""

    scope: Literal["failing", "affected", "suite", "closure"]
    status: RunStatus
    passed: int
    total: int
    newly_red: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    duration_ms: int = 0
    reason: str = ""
    unsure: dict[str, str] = Field({})
    """Repaired tests whose pass only their own process reports, and the reason; see ``TestRun``."""
    doubted: dict[str, str] = Field({})


class CandidateTested(LedgerEvent, RunReport, kind=EntryKind.RUN, name="validated"):
    """Written by VALIDATE for each run of the candidate's tests, and by VERIFY on the changed files."""


class ClosureChecked(LedgerEvent, kind=EntryKind.RUN, name="closure", phase=Phase.VERIFY):
    closed: bool
    reason: str = ""


class ToolCalled(LedgerEvent, kind=EntryKind.TOOL, name="tool.called"):
    """``found``: whether a code search found something; None for other tools. ``result``: blob of the text."""

    tool: str
    arguments: str = ""
    ok: bool
    score: int = 0
    rule: str = ""
    found: bool | None = None
    result: str = ""


class GateJudged(LedgerEvent, Verdict, kind=EntryKind.VERDICT, name="gate"):
    """One verdict; ``tool``: name of the tool whose call was judged."""

    tool: str = ""


class GatesJudged(LedgerEvent, kind=EntryKind.VERDICT, name="gates", phase=Phase.VALIDATE):
    """All verdicts on a candidate. ``inspection``: blob of the inputs, secrets replaced.

    ``without_secrets``: the verdicts on those inputs, where they differ.
    """

    inspection: str = ""
    verdicts: tuple[Verdict, ...]
    without_secrets: tuple[Verdict, ...] | None = None


class InjectionMarked(LedgerEvent, Verdict, kind=EntryKind.VERDICT, name="outside.marked"):
    """Text from outside that matches a prompt-injection pattern; ``facts``: its blob."""

    facts: str = ""
