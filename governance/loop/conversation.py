"""The strategy for a model that converses: context, tool loop, edits out of its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from governance.crew import Crew
from governance.dossier import POLICY_RULES, Dossier
from governance.explore import context_of
from governance.irongate import g01_containment, g02_protected
from governance.loop import prompts
from governance.loop.answers import parse_answer
from governance.loop.rounds import Talk, talk
from governance.repair.proposal import Proposal
from governance.toolcall import call_tool
from kernel.canary import CollapseDetected
from kernel.provider import Limits, Message
from ledger.vocabulary import (
    Candidate,
    Decision,
    Edit,
    EntryKind,
    FailureClass,
    Operation,
    RootCause,
    Spend,
    State,
    TestResult,
    Verdict,
)
from tools.edits import EditProblems, FileDiff, ParsedEdits, make_edit, parse_edits, resolve
from tools.manifest import ToolContext
from tools.workspace import Workspace

MAX_FILES = 6


class Noop(BaseModel):
    """A model's claim that there is nothing to do."""

    noop: str


def wanted_files(op: Operation, dossier: Dossier, failing: Sequence[TestResult]) -> tuple[str, ...]:
    """Files that stand in the prompt: targets, frames of the failures, plan, expansion."""
    paths = list(op.targets)
    paths += [f.path for r in failing for f in reversed(r.frames)]
    paths += [r.id.partition("::")[0] for r in failing]
    paths += [c.path for c in (dossier.plan.ordered_changes if dossier.plan else ())]
    paths += [f.path for f in (dossier.expansion.files if dossier.expansion else ())]
    return tuple(dict.fromkeys(paths))[:MAX_FILES]


async def read_files(crew: Crew, context: ToolContext, paths: Sequence[str]) -> dict[str, str]:
    """Read through the toolbox, so that reads are judged, recorded and hashed like the model's own."""
    files = {}
    for path in paths:
        outcome = await call_tool(crew, State.GENERATE, "read_file", json.dumps({"path": path}), context)
        data = context.workspace.read(path) if outcome.use.ok else None
        if data is not None:
            files[path] = data.decode("utf-8", errors="replace")
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
class Stated:
    """Edits, or why there are none and which rule says so."""

    edits: tuple[Edit, ...] = ()
    problem: str = ""
    rule: str = "generate.edits"


def out_of_bounds(root: Path, parsed: ParsedEdits, protected: tuple[str, ...]) -> Verdict | None:
    """Gates 1 and 2 on every path that an answer names, before anything there is read (and quoted back)."""
    for part in parsed.parts:
        for path in (part.old, part.new) if isinstance(part, FileDiff) else (part.path,):
            if path is None:
                continue
            located = g01_containment.check(g01_containment.gather(root, path))
            named = g02_protected.check(g02_protected.Facts(path=path, owner=protected))
            denied = next((v for v in (located, named) if v.decision is not Decision.ALLOW), None)
            if denied is not None:
                return denied
    return None


async def edits_of(op: Operation, crew: Crew, context: ToolContext, text: str) -> Stated:
    """Edits that the tools wrote, else those that the answer states; or why there are none."""
    if context.written:
        found = []
        for path in sorted(context.written):
            before = await crew.shop.repository.read(op.tree, path)
            mode = modes_of(context.workspace, [path]).get(path, 0o644)
            edit = make_edit(path, before, context.workspace.read(path), mode=mode, rationale=text.strip()[:300])
            if edit is not None:
                found.append(edit)
        return Stated(edits=tuple(found), problem="" if found else "the edits change nothing")
    parsed = await asyncio.to_thread(parse_edits, text)
    protected = crew.shop.settings.pipeline.protected_paths
    denied = await asyncio.to_thread(out_of_bounds, context.workspace.root, parsed, protected)
    if denied is not None:
        await crew.record.note(EntryKind.VERDICT, "gate", phase=State.GENERATE, **denied.model_dump(mode="json"))
        return Stated(problem=denied.reason, rule=denied.rule)
    paths = [p.path for p in parsed.parts]
    rationale = text.partition("<<<<<<<")[0].partition("```")[0].strip()[:300]
    modes = await asyncio.to_thread(modes_of, context.workspace, paths)
    resolved = await asyncio.to_thread(resolve, parsed, context.workspace.read, modes=modes, rationale=rationale)
    if isinstance(resolved, EditProblems):
        return Stated(problem=resolved.text)
    return Stated(edits=resolved)


async def converse(
    op: Operation, dossier: Dossier, crew: Crew, failing: tuple[TestResult, ...], *, extra: Sequence[Message] = ()
) -> Proposal:
    """One conversation, one candidate. Edits by tools act on a workspace of this conversation."""
    async with crew.workspace(op) as workspace:
        context = context_of(op, dossier, crew, workspace)
        files = await read_files(crew, context, wanted_files(op, dossier, failing))
        lessons = crew.shop.lessons.for_prompt()
        system, user = prompts.generate(op, dossier, failing, files, lessons)
        messages = [Message(role="system", text=system), Message(role="user", text=user), *extra]
        settings = crew.shop.settings.pipeline
        before = crew.record.spend
        try:
            said = await talk(
                crew,
                State.GENERATE,
                "generate",
                messages,
                context,
                rounds=settings.rounds,
                limits=Limits(max_tokens=settings.answer_tokens),
            )
        except CollapseDetected as error:
            return collapsed(error, context)
        stated = await edits_of(op, crew, context, said.answer)
        claim, _ = parse_answer(said.answer, Noop)
    if not stated.edits and claim is None:
        return nothing_stated(stated, said, context)
    return as_proposal(crew, said, stated.edits, claim, context, before)


def collapsed(error: CollapseDetected, context: ToolContext) -> Proposal:
    """A bad answer is not an outage: once more, told so. What was found out until then is kept."""
    return Proposal(
        candidate=None,
        reason=f"the answer collapsed ({error.signal}): it said the same again and again, or nothing sensible",
        cause=RootCause.COLLAPSE,
        failure=FailureClass.COLLAPSE,
        rule="generate.collapse",
        retry=True,
        exploration=tuple(context.uses),
    )


def nothing_stated(stated: Stated, said: Talk, context: ToolContext) -> Proposal:
    """Feedback for another turn. Where a rule refused what the model tried, that is the reason."""
    denied = said.refused[-1] if said.refused else None
    rule = denied.rule if denied else stated.rule
    by_policy = rule.startswith(POLICY_RULES)
    return Proposal(
        candidate=None,
        reason=denied.reason if denied else stated.problem or "the answer holds no edit",
        cause=RootCause.POLICY_REFUSED if by_policy else RootCause.PROVIDER_BAD_OUTPUT,
        failure=FailureClass.POLICY if by_policy else FailureClass.PROVIDER,
        rule=rule,
        retry=True,
        exploration=tuple(context.uses),
    )


def as_proposal(
    crew: Crew,
    said: Talk,
    edits: tuple[Edit, ...],
    claim: Noop | None,
    context: ToolContext,
    before: Spend,
) -> Proposal:
    """A candidate, or the claim that there is nothing to do."""
    provider, spent = crew.asker.provider, crew.record.spend
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
        strategy="conversation",
        spend=spend,
    )
    return Proposal(
        candidate=candidate,
        reason=claim.noop if claim and not edits else f"{len(edits)} edit(s) in {said.rounds} round(s)",
        tried=1,
        exploration=tuple(context.uses),
        reads=dict(context.reads),
    )
