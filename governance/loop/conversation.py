"""The strategy for a model that converses: context, tool loop, edits out of its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from governance.crew import Crew
from governance.dossier import Dossier
from governance.explore import context_of
from governance.loop import prompts
from governance.loop.answers import parse_answer
from governance.loop.rounds import Talk, talk
from governance.repair.proposal import Proposal
from kernel.provider import Limits, Message
from ledger.vocabulary import Candidate, Edit, FailureClass, Operation, RootCause, Spend, State, TestResult
from tools.edits import EditProblems, make_edit, parse_edits, resolve
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
        outcome = await crew.shop.toolbox.call("read_file", json.dumps({"path": path}), context)
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


async def edits_of(op: Operation, crew: Crew, context: ToolContext, text: str) -> tuple[tuple[Edit, ...], str]:
    """Edits that the tools wrote, else those that the answer states; or why there are none."""
    if context.written:
        found = []
        for path in sorted(context.written):
            before = await crew.shop.repository.read(op.tree, path)
            mode = modes_of(context.workspace, [path]).get(path, 0o644)
            edit = make_edit(path, before, context.workspace.read(path), mode=mode, rationale=text.strip()[:300])
            if edit is not None:
                found.append(edit)
        return tuple(found), "" if found else "the edits change nothing"
    parsed = parse_edits(text)
    paths = [p.path for p in parsed.parts]
    rationale = text.partition("<<<<<<<")[0].partition("```")[0].strip()[:300]
    resolved = resolve(parsed, context.workspace.read, modes=modes_of(context.workspace, paths), rationale=rationale)
    if isinstance(resolved, EditProblems):
        return (), resolved.text
    return resolved, ""


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
        said = await talk(
            crew,
            State.GENERATE,
            "generate",
            messages,
            context,
            rounds=settings.rounds,
            limits=Limits(max_tokens=settings.answer_tokens),
        )
        edits, problem = await edits_of(op, crew, context, said.answer)
        claim, _ = parse_answer(said.answer, Noop)
    return as_proposal(crew, said, edits, problem, claim, context, before, strategy="conversation")


def as_proposal(
    crew: Crew,
    said: Talk,
    edits: tuple[Edit, ...],
    problem: str,
    claim: Noop | None,
    context: ToolContext,
    before: Spend,
    *,
    strategy: str,
) -> Proposal:
    """Candidate, noop claim, or feedback."""
    provider, spent = crew.asker.provider, crew.record.spend
    spend = Spend(
        usd_micro=spent.usd_micro - before.usd_micro,
        tokens_in=spent.tokens_in - before.tokens_in,
        tokens_out=spent.tokens_out - before.tokens_out,
        calls=spent.calls - before.calls,
    )
    if not edits and claim is None:
        return Proposal(
            candidate=None,
            reason=problem or "the answer holds no edit",
            cause=RootCause.PROVIDER_BAD_OUTPUT,
            failure=FailureClass.PROVIDER,
            rule="generate.edits",
            retry=True,
            exploration=tuple(context.uses),
        )
    candidate = Candidate(
        schema_tag="2b.1" if edits else "2b.1-noop",
        edits=edits,
        rationale=edits[0].rationale if edits else "",
        provider=provider.name,
        model=provider.model,
        strategy=strategy,
        spend=spend,
    )
    return Proposal(
        candidate=candidate,
        reason=claim.noop if claim and not edits else f"{len(edits)} edit(s) in {said.rounds} round(s)",
        tried=1,
        exploration=tuple(context.uses),
        reads=dict(context.reads),
    )
