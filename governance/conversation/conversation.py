"""The strategy for conversing models: context, tool loop, and edits from the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from governance.conversation import prompts
from governance.conversation.answer_verdict import AnswerVerdict
from governance.conversation.answers import parse_answer
from governance.conversation.exploration import context_of, explore
from governance.conversation.form import ConversationForm, choose_form
from governance.conversation.history import Opening
from governance.conversation.injection_screen import screen_text
from governance.conversation.result import ConversationEnd, ConversationResult
from governance.conversation.rounds import Conversation
from governance.conversation.tool_calls import call_tool
from governance.grounding.ground import depth_of
from governance.irongate.candidate import g01_containment, g02_protected, g04_exploration
from governance.irongate.paths import is_test_path
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import COLLAPSE_RULE, POLICY_RULES, Dossier
from governance.repair.proposal import Proposal
from kernel.canary import CollapseDetected
from kernel.provider import Limits
from ledger.errors import OuroError
from ledger.events.check import GateJudged
from ledger.vocabulary import (
    CONVERSATION,
    Candidate,
    Complexity,
    Decision,
    Edit,
    EditKind,
    FailureClass,
    Operation,
    Phase,
    RootCause,
    Spend,
    TestResult,
    Verdict,
)
from tools.edits import EditProblems, FileDiff, ParsedEdits, make_edit, parse_edits, resolve
from tools.manifest import ToolContext, ToolUse
from tools.workspace import Workspace

MAX_FILES = 6


class NoopClaim(BaseModel):
    """A model's claim that there is nothing to do."""

    noop: str


def wanted_files(op: Operation, dossier: Dossier, failing: Sequence[TestResult]) -> tuple[str, ...]:
    """Files for the prompt: targets, stack frames and test files of the failures, plan, expansion. Bounded."""
    paths = list(op.targets)
    paths += [f.path for r in failing for f in reversed(r.frames)]
    paths += [r.id.partition("::")[0] for r in failing]
    paths += [c.path for c in (dossier.plan.ordered_changes if dossier.plan else ())]
    paths += [f.path for f in (dossier.expansion.files if dossier.expansion else ())]
    return tuple(dict.fromkeys(paths))[:MAX_FILES]


async def read_files(ctx: OpContext, context: ToolContext, paths: Sequence[str]) -> dict[str, str]:
    """Read files through the toolbox, so that reads are checked, recorded and hashed like the model's own."""
    files = {}
    for path in paths:
        outcome = await call_tool(ctx, Phase.GENERATE, "read_file", json.dumps({"path": path}), context)
        data = context.workspace.read(path) if outcome.use.ok else None
        if data is not None:
            files[path] = data.decode("utf-8", errors="replace")
            await screen_text(ctx, Phase.GENERATE, path, files[path])  # all of it: the call screened a part
    return files


def modes_of(workspace: Workspace, paths: Sequence[str]) -> Mapping[str, int]:
    """Permission bits of existing files."""
    found = {}
    for path in paths:
        file = workspace.root / path
        if file.is_file() and not file.is_symlink():
            found[path] = file.stat().st_mode & 0o777
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedEdits:
    """Edits; or none, with the problem and the rule."""

    edits: tuple[Edit, ...] = ()
    problem: str = ""
    rule: str = "generate.edits"


def out_of_bounds(root: Path, parsed: ParsedEdits, protected: tuple[str, ...]) -> Verdict | None:
    """Gate 1's or 2's refusal of a path in an answer, before that file is read and quoted back; else None."""
    for part in parsed.parts:
        for path in (part.old, part.new) if isinstance(part, FileDiff) else (part.path,):
            if path is None:
                continue
            located = g01_containment.check(g01_containment.gather(root, path))
            named = g02_protected.check(g02_protected.ProtectedPathFacts(path=path, owner=protected))
            denied = next((v for v in (located, named) if v.decision is not Decision.ALLOW), None)
            if denied is not None:
                return denied
    return None


async def edits_of(op: Operation, ctx: OpContext, context: ToolContext, text: str) -> StatedEdits:
    """Edits written by tools, else those in the answer; or none, with the reason."""
    if context.written:
        found = []
        for path in sorted(context.written):
            before = await ctx.services.repository.read(op.tree, path)
            mode = modes_of(context.workspace, [path]).get(path, 0o644)
            edit = make_edit(path, before, context.workspace.read(path), mode=mode, rationale=text.strip()[:300])
            if edit is not None:
                found.append(edit)
        return StatedEdits(edits=tuple(found), problem="" if found else "the edits change nothing")
    parsed = await asyncio.to_thread(parse_edits, text)
    protected = ctx.services.settings.pipeline.protected_paths
    denied = await asyncio.to_thread(out_of_bounds, context.workspace.root, parsed, protected)
    if denied is not None:
        await ctx.record.note(GateJudged(**denied.model_dump()), phase=Phase.GENERATE)
        return StatedEdits(problem=denied.reason, rule=denied.rule)
    paths = [p.path for p in parsed.parts]
    rationale = text.partition("<<<<<<<")[0].partition("```")[0].strip()[:300]
    modes = await asyncio.to_thread(modes_of, context.workspace, paths)
    resolved = await asyncio.to_thread(resolve, parsed, context.workspace.read, modes=modes, rationale=rationale)
    if isinstance(resolved, EditProblems):
        return StatedEdits(problem=resolved.text)
    return StatedEdits(edits=resolved)


class AnswerJudge:
    """Judges whether a text is an answer: it has edits that apply, or claims that nothing is to be done.

    It is sent back when its edits do not apply, or when the exploration is insufficient (gate 4), because that is
    cheaper than another conversation.
    """

    def __init__(self, *, op: Operation, ctx: OpContext, context: ToolContext, complexity: Complexity) -> None:
        self._op = op
        self._crew = ctx
        self._context = context
        self._complexity = complexity

    async def __call__(self, text: str) -> AnswerVerdict:
        if not self._context.written:
            if parse_answer(text, NoopClaim)[0] is not None:
                return AnswerVerdict(useful=True)
            parsed = await asyncio.to_thread(parse_edits, text)
            if not parsed.parts and not parsed.problems:
                return AnswerVerdict(useful=False)
        stated = await edits_of(self._op, self._crew, self._context, text)
        if not stated.edits:
            return AnswerVerdict(useful=False, problem=stated.problem, rule=stated.rule)
        return await self._explored(stated.edits)

    async def _explored(self, edits: Sequence[Edit]) -> AnswerVerdict:
        ctx, context = self._crew, self._context
        verdict = g04_exploration.check(
            g04_exploration.ExplorationFacts(
                complexity=self._complexity,
                uses=tuple(context.uses),
                changed=tuple(edit.path for edit in edits if edit.kind is not EditKind.CREATE),
                read=tuple(context.reads),
                tools=tuple(spec.name for spec in ctx.services.toolbox.schemas()),
            )
        )
        if verdict.decision is Decision.ALLOW:
            return AnswerVerdict(useful=True)
        await ctx.record.note(GateJudged(**verdict.model_dump()), phase=Phase.GENERATE)
        return AnswerVerdict(useful=True, problem=verdict.reason, rule=verdict.rule)


async def converse(op: Operation, dossier: Dossier, ctx: OpContext, failing: tuple[TestResult, ...]) -> Proposal:
    """One conversation for one candidate. Tools edit a workspace of its own."""
    manner = choose_form(ctx.client.provider.capabilities, ctx.services.settings.loop)
    async with ctx.workspace(op) as workspace:
        context = context_of(op, dossier, ctx, workspace)
        looked = ctx.resources.exploration
        found = looked.begin(op.tree, context)
        opening = await build_opening(op, dossier, ctx, context, failing, manner, found)
        judge = AnswerJudge(op=op, ctx=ctx, context=context, complexity=depth_of(ctx, op, dossier))
        before = ctx.record.spend
        limits = Limits(
            max_tokens=ctx.services.settings.pipeline.answer_tokens,
            caution_milli=ctx.resources.regrounding.caution_milli,
        )
        ctx.resources.canary.begin()
        conversation = Conversation(
            ctx=ctx,
            phase=Phase.GENERATE,
            purpose="generate",
            opening=opening,
            context=context,
            judge=judge,
            manner=manner,
            limits=limits,
        )
        said = await conversation.run()
        looked.keep(context, conversation.looked)
        is_lost = isinstance(said.error, CollapseDetected) or not (op.test_ids and (context.written or said.answer))
        if said.error is not None and is_lost:
            return handle_error(said, said.error, context)
        stated = await edits_of(op, ctx, context, said.answer)
        claim, _ = parse_answer(said.answer, NoopClaim)
    if not stated.edits and claim is None:
        return propose_without_edits(stated, said, context)
    return as_proposal(ctx, said, stated.edits, claim, context, before)


async def build_opening(
    op: Operation,
    dossier: Dossier,
    ctx: OpContext,
    context: ToolContext,
    failing: tuple[TestResult, ...],
    manner: ConversationForm,
    found: Sequence[tuple[str, str]],
) -> Opening:
    """The opening. Without native tool calls the daemon explores first and includes the results."""
    files = await read_files(ctx, context, wanted_files(op, dossier, failing))
    if manner is not ConversationForm.NATIVE:
        paths = [path for path in files if not is_test_path(path)] or list(files)
        findings = await explore(ctx, context, paths, complexity=depth_of(ctx, op, dossier))
        found = [*found, *findings.results]
    memory = ctx.services.memory
    lessons, advice = memory.taught(), await memory.advice(files)
    ctx.resources.remembered |= bool(advice)
    room = prompts.FILES_CHARS if manner is ConversationForm.ONE_SHOT else prompts.FILES_CHARS // 2
    return prompts.generate(
        op,
        dossier,
        failing,
        files,
        lessons,
        advice=advice,
        found=found,
        files_chars=room,
        posture=ctx.client.posture,
    )


def handle_error(said: ConversationResult, error: OuroError, context: ToolContext) -> Proposal:
    """The proposal after a collapse. Re-raises any other error, with the conversation's end as a note."""
    if isinstance(error, CollapseDetected):
        return propose_after_collapse(error, tuple(context.uses), dict(context.reads))
    error.add_note(said.summary)
    raise error


def propose_after_collapse(error: CollapseDetected, uses: tuple[ToolUse, ...], reads: dict[str, str]) -> Proposal:
    """A retry with fresh evidence after a collapse; none of the answer's text is kept."""
    return Proposal(
        candidate=None,
        reason=f"the answer collapsed ({error.signal}): it said the same again and again, or nothing sensible",
        cause=RootCause.COLLAPSE,
        failure=FailureClass.COLLAPSE,
        rule=COLLAPSE_RULE,
        retry=True,
        exploration=uses,
        reads=reads,
        proximity_milli=round(1000 * error.proximity),
        signal=error.signal,
    )


def propose_without_edits(stated: StatedEdits, said: ConversationResult, context: ToolContext) -> Proposal:
    """Feedback for another attempt, unless the deadline ended this one.

    If a rule refused the model's tool calls, that is the reason.
    """
    if said.error is not None:
        return handle_error(said, said.error, context)
    denied = said.refused[-1] if said.refused else None
    rule = denied.rule if denied else stated.rule
    by_policy = rule.startswith(POLICY_RULES)
    cause, failure = (RootCause.POLICY_REFUSED, FailureClass.POLICY) if by_policy else said.cause
    if not by_policy and said.end is not ConversationEnd.ANSWER:
        rule = f"loop.{said.end.value}"
    why = denied.reason if denied else said.problem or stated.problem or "the answer holds no edit"
    return Proposal(
        candidate=None,
        reason=why if said.end is ConversationEnd.ANSWER else f"{said.summary}; {why}",
        cause=cause,
        failure=failure,
        rule=rule,
        retry=said.end is not ConversationEnd.DEADLINE,
        exploration=tuple(context.uses),
    )


def as_proposal(
    ctx: OpContext,
    said: ConversationResult,
    edits: tuple[Edit, ...],
    claim: NoopClaim | None,
    context: ToolContext,
    before: Spend,
) -> Proposal:
    """A candidate, or the claim that nothing is to be done."""
    provider, spent = ctx.client.provider, ctx.record.spend
    spend = Spend(
        usd_micro=spent.usd_micro - before.usd_micro,
        tokens_in=spent.tokens_in - before.tokens_in,
        tokens_out=spent.tokens_out - before.tokens_out,
        calls=spent.calls - before.calls,
    )
    candidate = Candidate(
        schema_tag="2b.1" if edits else "2b.1-noop",
        edits=edits,
        rationale=edits[0].rationale if edits else "",
        provider=provider.name,
        model=provider.model,
        strategy=CONVERSATION,
        spend=spend,
    )
    return Proposal(
        candidate=candidate,
        reason=claim.noop if claim and not edits else f"{len(edits)} edit(s); {said.summary}",
        notes=() if said.end is ConversationEnd.ANSWER else (said.summary,),
        tried=1,
        exploration=tuple(context.uses),
        reads=dict(context.reads),
        proximity_milli=ctx.resources.canary.proximity_milli,
        signal=ctx.resources.canary.signal,
    )
