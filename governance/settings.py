"""The owner's settings of this room, composed of the settings models defined beside the code that uses them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from governance.budget import BudgetSettings
from governance.conversation.settings import LoopSettings
from governance.grounding.policy import PolicySettings
from governance.memory.settings import MemorySettings
from governance.pipeline.routes import ClockSettings
from governance.repair.settings import RepairSettings
from ledger.vocabulary import Frozen


class ApprovalSettings(Frozen):
    """How long to wait for the owner, and what may land without."""

    notify_delay_s: int = Field(
        5, ge=0, description="A NOTIFY_APPLY change is applied after this delay unless cancelled."
    )
    timeout_s: int = Field(600, ge=1, description="An APPROVAL_REQUIRED change expires to rejected after this time.")
    unattended: Literal["listed", "search", "nothing"] = Field(
        "search",
        description="What may land with nobody there: what gate 20 lists, a conversing model's changes too; of that "
        "only what the daemon's own search has made; nothing at all.",
    )
    questions: int = Field(
        1,
        ge=0,
        le=5,
        description="Questions to a person that one op may ask; each waits as long as an approval.",
    )


class PipelineSettings(Frozen):
    """Bounds of the phases."""

    workers: int = Field(3, ge=1, le=16, description="Ops that are worked on at the same time.")
    generate_retries: int = Field(2, ge=0, le=5, description="GENERATE is entered again this often after a bad answer.")
    validate_retries: int = Field(
        2, ge=0, le=5, description="GENERATE is entered again this often after a failed VALIDATE."
    )
    suite_budget_s: int = Field(300, ge=1, description="The whole suite runs before APPLY when it fits in this time.")
    type_check: Literal["auto", "off"] = Field(
        "auto", description="Ask the repository's own mypy, where it configures one, for new errors in changed files."
    )
    type_check_s: int = Field(60, ge=1, description="One run of the type checker.")
    claim_wait_s: int = Field(300, ge=1, description="How long an op waits for a file that another op works on.")
    answer_tokens: int = Field(4_096, ge=64, description="Tokens that one answer of GENERATE may have.")
    core_paths: tuple[str, ...] = Field((), description="Paths whose change is at least NOTIFY_APPLY.")
    protected_paths: tuple[str, ...] = Field(
        (), description="More paths that are never touched, matched by path component."
    )
    open_own_governance: bool = Field(
        False, description="Where the watched repository is Ouroboros itself: let it change its own governance."
    )
    strict_ascii: bool = Field(False, description="Refuse any non-ASCII character in added lines.")
    co_author: str = Field(
        "", description="`Name <mail>` for a Co-authored-by trailer that names the model; empty: none."
    )


class GovernanceSettings(Frozen):
    """The sections of this room: ``[approval]``, ``[pipeline]`` and those below."""

    approval: ApprovalSettings = ApprovalSettings()
    pipeline: PipelineSettings = PipelineSettings()
    loop: LoopSettings = LoopSettings()
    budget: BudgetSettings = BudgetSettings()
    clocks: ClockSettings = ClockSettings()
    repair: RepairSettings = RepairSettings()
    memory: MemorySettings = MemorySettings()
    grounding: PolicySettings = PolicySettings()
