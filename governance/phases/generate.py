"""GENERATE: produce a candidate with the strategy that fits the provider."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
from collections.abc import AsyncIterator
from dataclasses import replace

from governance.conversation.conversation import converse, propose_after_collapse
from governance.conversation.exploration import context_of, explore, nearest_first
from governance.conversation.injection_screen import failure_texts, screen_texts
from governance.conversation.prompts import FEEDBACK_SHOWN
from governance.conversation.tree import repair_in_layers
from governance.grounding.claims import change
from governance.grounding.ground import depth_of
from governance.grounding.reflex import leave_evidence, reground
from governance.irongate.op.g19_recursion import change_hash, diff_hash
from governance.irongate.secrets.redaction import redact
from governance.pipeline.context import OpContext
from governance.pipeline.diff_text import unified
from governance.pipeline.dossier import COLLAPSE_RULE, WAITED_RULE, Dossier, Generation
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind, failed, retry
from governance.pipeline.retries import wants_repair
from governance.recordable import candidate_without_secrets
from governance.repair.cloze import cloze
from governance.repair.failure_context import FailureContext
from governance.repair.proposal import Proposal
from governance.repair.reproduce import localise_failure, reproduce, tests_without_result
from governance.repair.variants import load_model
from governance.verification import closure_checks
from governance.verification.evidence import evidence
from kernel.canary import CollapseDetected
from kernel.provider import Preparer, Provider
from ledger.errors import ApplyConflict
from ledger.events.op import CandidateProposed, ClaimWaiting
from ledger.vocabulary import (
    Edit,
    FailureClass,
    Operation,
    OpOutcome,
    Phase,
    RootCause,
    Route,
    RunStatus,
    TestResult,
    TestRun,
)

WAITED = "another op changed the file meanwhile; this one looks afresh"
SHOWN_DIFF = 4_000
MOST_SAID, MOST_FAILING = 2_000, 8
"""Limits for gate 20's input: characters of a failing test's message, and number of tests."""
NO_VERDICT = frozenset({RunStatus.INCONCLUSIVE, RunStatus.TIMEOUT, RunStatus.INFRA})


def cannot_reproduce(op: Operation, run: TestRun) -> PhaseResult | None:
    """The result when no test of the op is red at its tree: failed without a verdict or unknown tests, else NOOP."""
    if run.status in NO_VERDICT:
        failure = FailureClass.INFRA if run.status is RunStatus.INFRA else FailureClass.TEST
        return failed(RootCause.TESTS_FAILED, failure, f"The failure could not be reproduced: {run.reason}")
    missing = tests_without_result(op, run)
    if missing:
        return failed(RootCause.TESTS_FAILED, FailureClass.TEST, f"No such test at this commit: {missing[0]}")
    return PhaseResult(kind=ResultKind.NO_CHANGE, reason="the tests pass at this commit: the goal is met already")


async def generate(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """Reproduce the failure, then run the strategy; the model loads meanwhile.

    After a collapse or with too little evidence, re-ground first.
    """
    ctx.resources.canary.begin()
    problem = await reground(op, dossier, ctx)
    if problem:
        return failed(RootCause.TESTS_FAILED, FailureClass.TEST, problem)
    if not op.test_ids:
        return await check_met_already(op, ctx) or await make_candidate(op, dossier, ctx, None)
    async with load_in_background(ctx.client.provider) as loads:
        return await make_candidate(op, dossier, ctx, loads)


async def check_met_already(op: Operation, ctx: OpContext) -> PhaseResult | None:
    """NOOP when the condition is already gone at the op's tree, before any cost; else None."""
    answer = await closure_checks.check_base(op, ctx)
    if answer.closed or answer.gone:
        return PhaseResult(kind=ResultKind.NO_CHANGE, reason=f"nothing is to be done at this commit: {answer.reason}")
    return None


async def make_candidate(
    op: Operation, dossier: Dossier, ctx: OpContext, loads: asyncio.Task[None] | None
) -> PhaseResult:
    """Reproduce, propose and accept.

    ``loads`` completes when the model is loaded. Infill providers are not awaited: the search has other work first.
    """
    services = ctx.services
    infills = ctx.client.provider.capabilities.only_fills
    run, failing = TestRun(status=RunStatus.GREEN), tuple[TestResult, ...]()
    if op.test_ids:
        if services.runner is None:
            return failed(RootCause.SANDBOX_MISSING, FailureClass.INFRA, services.runner_problem)
        run, failing = await reproduce(op, ctx, coverage=infills)
        if not failing:
            result = cannot_reproduce(op, run)
            if result is not None:
                return result
        if loads is not None and not infills:
            await loads
    before = ((f"feedback of {f.phase}", f.text) for f in dossier.feedback[-FEEDBACK_SHOWN:])
    await screen_texts(ctx, Phase.GENERATE, (*failure_texts(failing), *before))
    health = await ctx.client.provider.health()
    if not health.ready:
        return failed(RootCause.PROVIDER_UNAVAILABLE, FailureClass.PROVIDER, health.detail)
    proposal = await propose(op, dossier, ctx, run, failing, infills=infills)
    if proposal.rule == WAITED_RULE:
        return await start_over(op, ctx)
    if proposal.rule == COLLAPSE_RULE:
        leave_evidence(ctx, op, proposal.exploration, proposal.reads or {}, [r.id for r in failing], proposal)
    if proposal.candidate is None:
        return without_candidate(dossier, proposal)
    if proposal.candidate.schema_tag == "2b.1-noop":
        return await judge_noop(op, ctx, proposal, failing)
    return await accept(op, dossier, ctx, proposal, failing=failing)


@contextlib.asynccontextmanager
async def load_in_background(provider: Provider) -> AsyncIterator[asyncio.Task[None] | None]:
    """Load the provider's model in the background during the block; cancelled at its end."""
    if not isinstance(provider, Preparer):
        yield None
        return
    task = asyncio.create_task(load_model(provider), name="load model")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


def without_candidate(dossier: Dossier, proposal: Proposal) -> PhaseResult:
    """A retry with feedback, or the end of the op, whose reason includes earlier refusals."""
    rule = proposal.rule or "generate.answer"
    if proposal.retry:
        return retry(Phase.GENERATE, rule, proposal.reason, proposal.cause, proposal.failure)
    refusals = dossier.refusals
    if not refusals or proposal.cause is not RootCause.NO_CANDIDATE:
        return failed(proposal.cause, proposal.failure, proposal.reason)
    before = "; ".join(f"{f.text[:200]} ({f.rule})" for f in refusals)
    return failed(RootCause.POLICY_REFUSED, FailureClass.POLICY, f"{proposal.reason}; refused before: {before}")


async def propose(
    op: Operation, dossier: Dossier, ctx: OpContext, run: TestRun, failing: tuple[TestResult, ...], *, infills: bool
) -> Proposal:
    """Choose the strategy by the provider's capabilities and by earlier failures."""
    if infills and failing:
        rejected = frozenset(f.candidate for f in dossier.feedback if f.candidate)
        rejected |= frozenset(await ctx.services.refused.hashes())  # a gate would refuse these: not worth a test run
        async with ctx.workspace(op) as workspace:
            context = context_of(op, dossier, ctx, workspace)
            ctx.resources.exploration.begin(op.tree, context)
            scene = await localise_failure(op, ctx, workspace, run, failing)
            paths = [place.path for place in scene.places]
            depth = depth_of(ctx, op, dossier)
            found = (await explore(ctx, context, paths, complexity=depth, lines=scene.places)).files
            if ctx.services.settings.repair.localised:
                nearest = nearest_first(scene.places, found, test_files=scene.test_files, said=scene.said)
                scene = replace(scene, places=nearest)
            if not await claim_suspect(op, ctx, scene):
                return Proposal(
                    candidate=None, reason=WAITED, rule=WAITED_RULE, cause=RootCause.APPLY_CONFLICT, retry=True
                )
        try:
            proposal = await cloze(op, ctx, scene, rejected)
        except CollapseDetected as error:
            return propose_after_collapse(error, tuple(context.uses), scene.reads | context.reads)
        return proposal.with_exploration(tuple(context.uses), scene.reads | (proposal.reads or {}) | context.reads)
    if wants_repair(dossier, ctx.services.settings.pipeline) and failing:
        return await repair_in_layers(op, dossier, ctx, failing)
    return await converse(op, dossier, ctx, failing)


async def claim_suspect(op: Operation, ctx: OpContext, scene: FailureContext) -> bool:
    """Claim the file that the search will most likely change, before spending on it.

    False when another op held it: this op waited until it was free, and must start again from the new state.
    """
    if not scene.places:
        return True
    wanted = (scene.places[0].path,)
    if await ctx.services.claims.widen(op.id, wanted):
        return True
    await ctx.record.note(ClaimWaiting(paths=wanted))
    limit = ctx.services.settings.pipeline.claim_wait_s
    if not await ctx.services.claims.wait_free(op.id, wanted, limit_s=limit):
        raise ApplyConflict(f"Another op works on {wanted[0]} for longer than {limit} s.", paths=wanted)
    return False


async def start_over(op: Operation, ctx: OpContext) -> PhaseResult:
    """GENERATE again, on HEAD as the other op left it."""
    head = (await ctx.services.repository.head()).commit or op.base
    replaced = op if op.tree != op.base else op.model_copy(update={"base": head})
    cause, failure = RootCause.APPLY_CONFLICT, FailureClass.INFRA
    return retry(Phase.GENERATE, WAITED_RULE, WAITED, cause, failure, replaced=replaced)


async def judge_noop(op: Operation, ctx: OpContext, proposal: Proposal, failing: tuple[TestResult, ...]) -> PhaseResult:
    """A model's claim that nothing is to be done, accepted only if the closure check confirms it."""
    if failing or not op.test_ids:
        text = "The goal is not met: "
        text += f"{failing[0].id} fails" if failing else (await closure_checks.check_base(op, ctx)).reason
        return retry(Phase.GENERATE, "generate.noop", text, RootCause.NO_CANDIDATE, FailureClass.CODE)
    return PhaseResult(kind=ResultKind.NO_CHANGE, reason=proposal.reason)


async def accept(
    op: Operation, dossier: Dossier, ctx: OpContext, proposal: Proposal, *, failing: tuple[TestResult, ...]
) -> PhaseResult:
    """Record the candidate, claim its files, and continue to VALIDATE; NOOP when it only restores what HEAD has."""
    candidate = proposal.candidate
    if candidate is None:
        return failed(RootCause.INTERNAL, FailureClass.INTERNAL, "no candidate to accept")
    if op.tree != op.base and not await differs_from(ctx, op.base, proposal):
        lines = "; ".join([line for edit in candidate.edits for line in await lines_of(ctx, op.tree, edit)][:3])
        return PhaseResult(
            kind=ResultKind.NO_CHANGE, reason=f"the repair is what HEAD already has: undo your edit of {lines}"
        )
    blob = await ctx.record.ledger.put_blob(candidate_without_secrets(candidate).model_dump_json().encode())
    originals = await ctx.originals(op, candidate)
    # Not its level: that stands for what tests have proven, and none has run yet. GATE records it.
    rests_on = evidence(proposal.repaired, proposal.shown).why if op.test_ids else ""
    claim = change(
        op,
        candidate,
        route=dossier.routing.route.value if dossier.routing else Route.STANDARD.value,
        evidence=rests_on,
        confidence_bp=proposal.confidence_bp,
        way=proposal.way,
    )
    await ctx.record.note(
        CandidateProposed(
            candidate=blob,
            tree=op.tree,
            paths=candidate.paths,
            strategy=candidate.strategy,
            rationale=candidate.rationale,
            tried=proposal.tried,
            hash=diff_hash(candidate),
            change=await asyncio.to_thread(change_hash, candidate, originals),
            notes=proposal.notes,
            diff=(await asyncio.to_thread(unified, candidate.edits, originals))[:SHOWN_DIFF],
        ),
        also=(ctx.record.draft(claim, phase=Phase.GENERATE),),
    )
    if not await ctx.services.claims.widen(op.id, candidate.paths):
        return failed(RootCause.APPLY_CONFLICT, FailureClass.INFRA, "another op works on one of these files")
    output = Generation(
        candidate=candidate,
        exploration=proposal.exploration,
        reads=proposal.reads or {},
        tried=proposal.tried,
        notes=proposal.notes,
        shown=proposal.shown,
        repaired=proposal.repaired,
        doubt=proposal.doubt,
        remembered=ctx.resources.remembered,
        failed=tuple(r.id for r in failing),
        raised=tuple(sorted({r.exception for r in failing})),
        said=tuple(sorted({redact((r.detail or r.message)[:MOST_SAID]) for r in failing[:MOST_FAILING]})),
        proximity_milli=proposal.proximity_milli,
    )
    return PhaseResult(output=output, reason=proposal.reason)


async def lines_of(ctx: OpContext, tree: str, edit: Edit) -> list[str]:
    """The lines at ``tree`` that ``edit`` would replace, as ``path:line (text)``."""
    old = (await ctx.services.repository.read(tree, edit.path) or b"").decode("utf-8", errors="replace").splitlines()
    new = (edit.after or b"").decode("utf-8", errors="replace").splitlines()
    changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    spots = [(a0 + 1, " / ".join(s.strip() for s in old[a0:a1])) for tag, a0, a1, _, _ in changes if tag != "equal"]
    return [f"{edit.path}:{line} ({text[:120] or 'a line is missing'})" for line, text in spots]


async def differs_from(ctx: OpContext, commit: str, proposal: Proposal) -> bool:
    """False when the candidate's files are identical to those at ``commit``."""
    edits = proposal.candidate.edits if proposal.candidate else ()
    for edit in edits:
        if await ctx.services.repository.read(commit, edit.path) != edit.after:
            return True
    return False


SPEC = PhaseSpec(
    output=Generation,
    run=generate,
    edges={ResultKind.RETRY: Phase.GENERATE, ResultKind.NO_CHANGE: OpOutcome.NOOP},
    returns=lambda settings: settings.generate_retries,
)
