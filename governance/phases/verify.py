"""VERIFY: tests and closure check on the applied tree, then the commit; or a rollback."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from governance.approval.refusals import Refused, Waiting
from governance.changes.types import Committed, Receipt
from governance.irongate.op.g19_recursion import diff_hash
from governance.phases.validate import record_runs
from governance.pipeline.commit_message import compose
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Application, Dossier, Generation, Verification
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind, failed, retry
from governance.recordable import candidate_without_secrets
from governance.verification import closure_checks
from governance.verification.evidence import claim_floors
from governance.verification.test_runs import RunsResult, measure_runs
from ledger.errors import HookRefused
from ledger.events.change import ChangeRollingBack, CommitIntended, CommitMade
from ledger.events.check import ClosureChecked
from ledger.events.op import DryRunKept
from ledger.ids import sha256_hex
from ledger.store import Statement
from ledger.tasks import run_to_completion
from ledger.vocabulary import (
    Candidate,
    Edit,
    EditKind,
    FailureClass,
    Operation,
    OpOutcome,
    Phase,
    RootCause,
    RunStatus,
)
from tools.workspace import Workspace

MEASURED_AGAIN = 2
"""How often the tests are run again because the branch moved on meanwhile: what lands is what was tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedChange:
    """What is verified: the candidate with the daemon's marks, as it was written; ``diff``: hash of the candidate."""

    receipt: Receipt
    candidate: Candidate
    diff: str

    @classmethod
    def of(cls, dossier: Dossier) -> AppliedChange:
        generation, application = dossier.require(Generation), dossier.require(Application)
        candidate = closure_checks.applied_candidate(generation, application)
        return cls(receipt=application.receipt, candidate=candidate, diff=diff_hash(generation.candidate))


async def bring_to_tree(ctx: OpContext, workspace: Workspace, change: AppliedChange) -> None:
    """Bring a workspace to the tree to verify: the checkout for a branch landing, else the candidate's tree."""
    if change.receipt.landing.mode == "branch":
        runner = ctx.services.runner
        # A sandbox may be mounted there for the next run: its mount points are left alone.
        await workspace.overlay_checkout(await asyncio.to_thread(runner.mounted, workspace) if runner else ())
    else:
        await workspace.apply(change.candidate.edits)


async def invert_edit(ctx: OpContext, tree: str, edit: Edit) -> Edit:
    """The edit that reverts ``edit`` to the state at ``tree``."""
    before = await ctx.services.repository.read(tree, edit.renamed_from or edit.path)
    after = None if edit.kind is EditKind.CREATE else before
    kind = {EditKind.CREATE: EditKind.DELETE, EditKind.DELETE: EditKind.CREATE}.get(edit.kind, edit.kind)
    seen = sha256_hex(edit.after) if edit.after is not None else None
    if edit.kind is EditKind.RENAME:
        return Edit(
            path=edit.renamed_from or edit.path,
            kind=kind,
            before=seen,
            after=after,
            mode=edit.mode,
            renamed_from=edit.path,
        )
    return Edit(path=edit.path, kind=kind, before=seen, after=after, mode=edit.mode)


async def red_without_change(
    op: Operation, ctx: OpContext, workspace: Workspace, candidate: Candidate
) -> frozenset[str]:
    """Tests that are red in the checkout without the candidate: caused by the owner's uncommitted work."""
    runner = ctx.services.runner
    if runner is None:
        return frozenset()
    await workspace.reset()
    await workspace.overlay_checkout()
    await workspace.apply([await invert_edit(ctx, op.tree, edit) for edit in candidate.edits])
    run = await runner.run(workspace, None, limit_s=ctx.services.settings.pipeline.suite_budget_s)
    return frozenset(r.id for r in run.red)


async def verify(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """Tests and closure check on the applied tree; then hooks, the intent entry and the signed commit."""
    change = AppliedChange.of(dossier)
    landing = change.receipt.landing
    if landing.mode == "dry-run":
        return await record_dry_run(ctx, dossier.require(Generation).candidate)
    for _ in range(1 + MEASURED_AGAIN):
        head = (await ctx.services.repository.head()).commit or op.tree
        found = await check_applied(op, dossier, ctx, change, head)
        if isinstance(found, PhaseResult):
            return found
        measured, reason = found
        if landing.mode != "branch" or (await ctx.services.repository.head()).commit == head:
            break
    return await commit(op, dossier, ctx, change, measured, reason)


async def check_applied(
    op: Operation, dossier: Dossier, ctx: OpContext, change: AppliedChange, head: str
) -> PhaseResult | tuple[RunsResult, str]:
    """The test runs on ``head`` with the change, and why the signal is gone; or what ends this attempt."""
    candidate, lands_on_branch = change.candidate, change.receipt.landing.mode == "branch"
    tree = head if lands_on_branch else op.tree
    async with ctx.workspace(op, tree=tree) as workspace:
        dirty = await ctx.services.repository.dirty() if lands_on_branch else ()
        # The change itself is applied already: any other difference from the validated tree is the owner's.
        owners = tree != op.tree or any(each.path not in candidate.touched for each in dirty)
        brought = partial(bring_to_tree, ctx, workspace, change)
        measured = await measure_runs(
            op, ctx, workspace, apply_change=brought, changed=candidate.paths, same_tests=not owners
        )
        if measured.problem and owners:
            measured = await clear_owner_failures(op, ctx, workspace, candidate, measured)
        await workspace.reset()
        await bring_to_tree(ctx, workspace, change)
        await record_runs(ctx, Phase.VERIFY, measured)
        if measured.infra:
            return failed(RootCause.TESTS_FAILED, FailureClass.INFRA, measured.infra)
        if measured.problem:
            return await roll_back(ctx, change, "verify.tests", measured.problem, RootCause.TESTS_FAILED)
        unexpected = unforeseen_floor(dossier, measured)
        if unexpected:
            return await roll_back(ctx, change, "verify.claim", unexpected, RootCause.TESTS_FAILED)
        answer = await closure_checks.check_applied(op, dossier.approval, ctx, workspace)
    await ctx.record.note(ClosureChecked(closed=answer.closed, reason=answer.reason))
    if not answer.closed:
        text = f"The signal is still there: {answer.reason}"
        return await roll_back(ctx, change, "verify.closure", text, RootCause.CLOSURE_OPEN)
    return measured, answer.reason


def unforeseen_floor(dossier: Dossier, measured: RunsResult) -> str:
    """The reason for a floor above the op's tier that only these runs revealed; empty when there is none. Pure."""
    return next((why for tier, why in claim_floors(measured.reports) if tier > dossier.tier), "")


async def clear_owner_failures(
    op: Operation, ctx: OpContext, workspace: Workspace, candidate: Candidate, measured: RunsResult
) -> RunsResult:
    """``measured`` cleared if the owner's uncommitted edits alone cause its failures; else unchanged."""
    if any(r.status not in (RunStatus.GREEN, RunStatus.RED) for r in measured.reports):
        return measured
    owners = await red_without_change(op, ctx, workspace, candidate)
    blamed = {i for r in measured.reports for i in r.newly_red} - owners
    closing = {i for r in measured.reports if r.scope == "failing" for i in r.newly_red}
    if blamed or closing:
        return measured
    reports = tuple(r.model_copy(update={"newly_red": ()}) for r in measured.reports)
    return RunsResult(reports=reports, suite_ran=True, passed=measured.passed, total=measured.total)


async def roll_back(ctx: OpContext, change: AppliedChange, rule: str, text: str, cause: RootCause) -> PhaseResult:
    """Undo the apply through the journal, then GENERATE again."""
    await ctx.record.note(ChangeRollingBack(journal=change.receipt.journal, rule=rule), phase=Phase.VERIFY)
    rollback = await run_to_completion(asyncio.to_thread(ctx.services.changes.rollback, change.receipt))
    ctx.resources.receipt = None
    if rollback.commit is not None:
        return failed(RootCause.INTERNAL, FailureClass.INTERNAL, f"{text}; but {rollback.commit} stands already")
    if rollback.kept:
        reason = f"{text}; not taken back, because you changed them meanwhile: {', '.join(rollback.kept)}"
        return failed(cause, FailureClass.USER, reason)
    return retry(Phase.VERIFY, rule, text, cause, FailureClass.TEST, candidate=change.diff)


async def record_dry_run(ctx: OpContext, candidate: Candidate) -> PhaseResult:
    """Record the diff only, and end as NOOP."""
    blob = await ctx.record.ledger.put_blob(candidate_without_secrets(candidate).model_dump_json().encode())
    await ctx.record.note(DryRunKept(candidate=blob))
    return PhaseResult(
        kind=ResultKind.NO_CHANGE, reason="dry run: the diff is in the ledger (`ouro diff`), nothing was changed"
    )


def pending_review(op: Operation, change: AppliedChange, committed: Committed) -> tuple[Statement, ...]:
    """Statement that stores a review branch as pending until the owner merges or deletes it."""
    if committed.mode != "review":
        return ()
    branch = committed.ref.removeprefix("refs/heads/")
    return (Refused.waits(Waiting(branch=branch, op_id=op.id, commit=committed.commit, hash=change.diff)),)


async def commit(
    op: Operation, dossier: Dossier, ctx: OpContext, change: AppliedChange, measured: RunsResult, reason: str
) -> PhaseResult:
    """Hooks, the intent entry, then the commit; not interruptible from the intent on."""
    services, receipt = ctx.services, change.receipt
    text = compose(
        op,
        dossier,
        measured.reports,
        closure=f"Closure: {reason}.",
        sandbox=services.sandbox_name,
        identity=services.changes.identity_line,
        passed=measured.passed,
        total=measured.total,
        co_author=services.settings.pipeline.co_author,
    )
    try:
        prepared = await services.changes.prepare(receipt, change.candidate, text)
    except HookRefused as error:
        return failed(RootCause.HOOK_REFUSED, FailureClass.POLICY, f"{error}\n{error.output[:2_000]}")
    done: list[tuple[Committed, int]] = []

    async def effect() -> tuple[Committed, int]:
        intent = await ctx.record.note(
            CommitIntended(
                tree=prepared.tree,
                parent=prepared.parent,
                ref=prepared.ref,
                journal=receipt.journal,
                paths=prepared.paths,
            )
        )
        committed = await asyncio.to_thread(
            services.changes.commit, receipt, prepared, text, ledger_seq=intent.seq, ledger_hash=intent.hash
        )
        ctx.resources.receipt = None
        await ctx.record.note(
            CommitMade(**committed.model_dump(), intent=intent.seq), project=pending_review(op, change, committed)
        )
        return committed, intent.seq

    try:
        committed, seq = await run_to_completion(effect(), done.append)
    except asyncio.CancelledError:
        if not done:
            raise
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()  # too late to cancel: the ref has moved
        committed, seq = done[0]
    output = Verification(
        runs=measured.reports,
        closed=True,
        closure_reason=reason,
        passed=measured.passed,
        total=measured.total,
        committed=committed,
        intent_seq=seq,
    )
    where = committed.ref.removeprefix("refs/heads/")
    return PhaseResult(output=output, reason=f"{committed.commit[:10]} on {where}")


SPEC = PhaseSpec(
    output=Verification,
    run=verify,
    edges={ResultKind.RETRY: Phase.GENERATE, ResultKind.NO_CHANGE: OpOutcome.NOOP},
    returns=lambda settings: 1,
)
