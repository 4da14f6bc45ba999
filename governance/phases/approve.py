"""APPROVE: SAFE_AUTO passes, NOTIFY_APPLY waits a short delay, APPROVAL_REQUIRED waits for the owner or expires."""

from __future__ import annotations

import asyncio

from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Approval, Dossier
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind
from ledger.clock import stamp
from ledger.events.approval import ApprovalNotified
from ledger.vocabulary import Operation, Tier


async def approve(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """The op's tier decides; nothing here lowers it."""
    now = stamp(ctx.services.clock.now())
    tier = dossier.tier
    reasons = dossier.gating.reasons if dossier.gating else ()
    if tier is Tier.SAFE_AUTO:
        return PhaseResult(output=Approval(decision="passed", by="tier SAFE_AUTO", at=now), reason="SAFE_AUTO")
    if tier is Tier.NOTIFY_APPLY:
        delay = ctx.services.settings.approval.notify_delay_s
        await ctx.record.note(ApprovalNotified(delay_s=delay, reason="; ".join(reasons)))
        await asyncio.sleep(delay)  # interrupted by cancelling the op
        return PhaseResult(
            output=Approval(decision="notified", by="tier NOTIFY_APPLY", at=now),
            reason=f"shown for {delay} s, not cancelled",
        )
    return PhaseResult(kind=ResultKind.WAITING, reason="; ".join(reasons) or tier.name)


SPEC = PhaseSpec(output=Approval, run=approve)
