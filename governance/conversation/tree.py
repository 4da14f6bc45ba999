"""L2 repair by conversation: a tree of patches inside GENERATE, grown layer by layer within a time limit of its own.

A layer has a few branches, each a patch tested in its own workspace. The best are continued: prompts of the next layer
contain a branch's patch, its verdict and its failing tests. With one branch it is a sequence of rounds. Progress is
measured by the failing tests and their messages. A patch is proposed only if the failing tests pass; it still goes
through every gate.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from governance.conversation.conversation import converse
from governance.conversation.repair_layers import (
    SHOWN_DIFF,
    SIBLING,
    Branch,
    BranchTrouble,
    LayeredRepair,
    RepairStop,
    next_layer,
    resume_state,
    round_event,
)
from governance.pipeline.context import OpContext
from governance.pipeline.diff_text import line_changes, unified
from governance.pipeline.dossier import COLLAPSE_RULE, Dossier, Feedback
from governance.repair.proposal import Proposal
from governance.repair.search_resume import events_before
from governance.repair.settings import RepairSettings
from governance.repair.variant_runner import at_once
from governance.verification.test_runs import explain
from ledger.errors import StaleBase
from ledger.events.repair import RepairClockSet, RepairRoundEnded, RepairStopped
from ledger.ids import sha256_hex
from ledger.vocabulary import (
    Candidate,
    Operation,
    Phase,
    RootCause,
    RunStatus,
    TestResult,
    TestRun,
)
from tools.testing.report.verdict import TIME_LIMIT

UNSTEADY = "With this patch the tests pass now and then: they failed, and passed when they were run again."


def classify_failure(run: TestRun, again: TestRun | None = None) -> BranchTrouble:
    """Kind of failure of a test run. ``again``: a rerun of its failed tests. Pure."""
    if run.status is RunStatus.GREEN:
        return BranchTrouble.NONE
    if run.status is RunStatus.TIMEOUT:
        return BranchTrouble.TIMEOUT
    if run.status is not RunStatus.RED:
        return BranchTrouble.ENVIRONMENT
    if again is not None and again.status is RunStatus.GREEN:
        return BranchTrouble.FLAKY
    kinds = {r.exception for r in run.red}
    if TIME_LIMIT in kinds:
        return BranchTrouble.TIMEOUT
    if kinds & {"SyntaxError", "IndentationError", "TabError"}:
        return BranchTrouble.SYNTAX
    if kinds & {"ImportError", "ModuleNotFoundError"}:
        return BranchTrouble.IMPORT
    return BranchTrouble.TYPE if kinds <= {"TypeError", "AttributeError", "NameError"} else BranchTrouble.TEST


def too_large(candidate: Candidate, originals: Mapping[str, bytes | None], settings: RepairSettings) -> str:
    """Why a repair exceeds L2's size limits; empty when it does not. ``originals``: earlier contents."""
    if len(candidate.edits) > settings.l2_files:
        return f"a repair may touch {settings.l2_files} files, this one touches {len(candidate.edits)}"
    lines = sum(line_changes(originals.get(e.renamed_from or e.path), e.after)[0] for e in candidate.edits)
    if lines > settings.l2_changed_lines:
        return f"a repair may change {settings.l2_changed_lines} lines, this one changes {lines}"
    return ""


def fingerprint_failures(run: TestRun) -> frozenset[str]:
    """The failing tests with hashes of their messages; the run's status if it has none."""
    return frozenset(f"{r.id}|{sha256_hex(r.message)[:12]}" for r in run.red) or frozenset({run.status.value})


async def start_time_limit(context: OpContext, box_s: float) -> None:
    """Start L2's time limit, and extend the op's deadline if that is earlier. Recorded."""
    left_s = context.clock.remaining_s()
    context.clock.extend_to(box_s + context.services.settings.repair.reserve_s)  # later phases need time as well
    await context.record.note(
        RepairClockSet(
            repair_s=round(box_s),
            op_left_s=None if math.isinf(left_s) else round(left_s),
            winner="repair" if left_s < box_s else "op",
        )
    )


async def repair_in_layers(
    op: Operation, dossier: Dossier, context: OpContext, failing: tuple[TestResult, ...]
) -> Proposal:
    """Add layers until the failing tests pass, a stop condition is met, or all answers of a layer collapse."""
    settings = context.services.settings.repair
    box_s = context.services.settings.clocks.repair_s
    await start_time_limit(context, box_s)
    state, dossier, key = await load_state(op, dossier, context, failing)
    authors, stop, tried, last = [dossier], RepairStop.ITERATIONS, 0, Proposal(candidate=None, reason="")
    try:
        async with context.clock.within(box_s):
            while state.rounds < settings.l2_rounds:
                layer = await add_layer(op, authors, context, failing)
                if all(branch.proposal.rule == COLLAPSE_RULE for branch in layer):
                    return layer[0].proposal
                tried += sum(branch.proposal.candidate is not None for branch in layer)
                met = state.after(layer)
                await context.record.note(round_event(key, state, layer))
                good = [branch for branch in layer if branch.trouble is BranchTrouble.NONE]
                if good:
                    return min(good, key=lambda branch: len(branch.diff)).proposal
                last = layer[0].proposal
                if met is not None:
                    stop = met
                    break
                authors = next_layer(layer, settings.l2_branches)
    except TimeoutError:
        stop = RepairStop.DEADLINE
    await context.record.note(RepairStopped(why=stop.value, tried=tried))
    reason = f"L2 repair ended ({stop.value}) without a patch that turns the tests green; {tried} tried"
    return Proposal(
        candidate=None,
        reason=reason if tried or not last.reason else f"{reason}: {last.reason}",
        cause=RootCause.NO_CANDIDATE,
        tried=tried,
    )


async def load_state(
    op: Operation, dossier: Dossier, context: OpContext, failing: tuple[TestResult, ...]
) -> tuple[LayeredRepair, Dossier, str]:
    """The state, the dossier to start from, and the key of the search.

    An op that replaces one that a crash ended resumes after that op's rounds.
    """
    tests = "\n".join(result.id for result in failing)
    key = sha256_hex(f"{op.tree}\n{tests}\n{context.services.settings.repair.model_dump_json()}".encode())[:16]
    earlier = await events_before(context.record, RepairRoundEnded, key)
    if not earlier:
        return LayeredRepair(), dossier, key
    return *resume_state(earlier[-1], dossier), key


async def add_layer(
    op: Operation, authors: Sequence[Dossier], context: OpContext, failing: tuple[TestResult, ...]
) -> list[Branch]:
    """One layer: patches are proposed in turn, each knowing the earlier ones of the layer, then tested concurrently."""
    branches: list[Branch] = []
    for index in range(context.services.settings.repair.l2_branches):
        dossier = authors[index % len(authors)]
        for other in branches:
            text = f"Somebody else proposes this; find another way:\n{other.diff[:SHOWN_DIFF] or other.proposal.reason}"
            dossier = dossier.with_feedback(Feedback(phase=Phase.GENERATE, rule=SIBLING, text=text))
        branches.append(await make_branch(op, dossier, context, await converse(op, dossier, context, failing)))
    places = asyncio.Semaphore(at_once(context.services.settings.repair))
    async with context.services.heavy, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(try_branch(op, context, branch, places, f"-b{index}"))
            for index, branch in enumerate(branches)
        ]
    return [task.result() for task in tasks]


async def make_branch(op: Operation, dossier: Dossier, context: OpContext, proposal: Proposal) -> Branch:
    """An untested branch, with its patch as text."""
    candidate = proposal.candidate
    branch = Branch(dossier=dossier, proposal=proposal, text=proposal.reason, trouble=BranchTrouble.SYNTAX)
    if candidate is None:
        return branch
    originals = await context.originals(op, candidate)
    diff = await asyncio.to_thread(unified, candidate.edits, originals)
    large = await asyncio.to_thread(too_large, candidate, originals, context.services.settings.repair)
    return replace(branch, text=large or proposal.reason, diff=diff, fit=candidate.schema_tag == "2b.1" and not large)


async def try_branch(
    op: Operation, context: OpContext, branch: Branch, places: asyncio.Semaphore, suffix: str
) -> Branch:
    """Test one patch in its own workspace. The caller must hold the heavy slot."""
    runner, candidate = context.services.runner, branch.proposal.candidate
    if runner is None:
        return replace(branch, text=context.services.runner_problem, trouble=BranchTrouble.ENVIRONMENT)
    if candidate is None or not branch.fit:
        return branch
    async with places, context.workspace(op, suffix=suffix) as workspace:
        try:
            await workspace.apply(candidate.edits)
        except StaleBase as error:
            return replace(branch, text=str(error))
        async with runner.warm(workspace) as tests:
            limit_s, again = context.services.settings.repair.test_limit_s, None
            run = await tests.run(op.test_ids, limit_s=limit_s)
            if run.status is RunStatus.RED and all(r.exception != TIME_LIMIT for r in run.red):
                # Rerun in the same workspace: a test that passes now is flaky.
                again = await tests.run([r.id for r in run.red], limit_s=limit_s)
    trouble = classify_failure(run, again)
    found = frozenset[str]() if trouble is BranchTrouble.NONE else fingerprint_failures(run)
    text = explain(run, {r.id for r in run.red})
    text = f"{UNSTEADY}\n{text}" if trouble is BranchTrouble.FLAKY else text
    return replace(branch, text=text, trouble=trouble, measure=found)
