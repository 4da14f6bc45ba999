"""Re-grounding: after a collapse, or when GATE found too little evidence, gather fresh evidence before a new attempt.

The earlier attempt's output is dropped. The next one starts from the files, a new test run, the history and memory.
Each call is recorded, and one more entry summarises the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from governance.conversation.exploration import context_of
from governance.conversation.exploration_cache import ExplorationCache
from governance.conversation.injection_screen import screen_text, warning
from governance.conversation.tool_calls import call_tool
from governance.grounding.claim_verdict import TOO_FEW_SOURCES
from governance.grounding.sources import evidence_of, sources_of
from governance.irongate.secrets.redaction import redact
from governance.pipeline.context import OpContext, Regrounding
from governance.pipeline.dossier import COLLAPSE_RULE, Dossier
from governance.pipeline.retries import count_collapses
from governance.repair.proposal import Proposal
from ledger.events.model import Regrounded
from ledger.vocabulary import Operation, Phase, RunStatus, TestRun
from tools.manifest import ToolContext, ToolOutcome, ToolUse
from tools.workspace import Workspace

PATHS = 6
COMMITS = 5
TOLD_LINES, TOLD_CHARS = 3, 140
AGAIN = frozenset({COLLAPSE_RULE, TOO_FEW_SOURCES})
"""Feedback rules after which the next attempt is re-grounded."""
MEMORY = "memory"
UNSTEADY = "the failing tests have passed when they were run again at the same commit: they fail at times only"


def leave_evidence(
    ctx: OpContext,
    op: Operation,
    uses: Iterable[ToolUse],
    read: Iterable[str],
    failed: Iterable[str],
    proposal: Proposal,
) -> None:
    """Keep the sources, files and proximity of a collapsed attempt for re-grounding."""
    read = tuple(read)
    ctx.resources.regrounding = Regrounding(
        sources=sources_of(evidence_of(op, uses, read, failed)),
        paths=read,
        caution_milli=max(proposal.proximity_milli, ctx.resources.regrounding.caution_milli),
        signal=proposal.signal,
    )


async def reground(op: Operation, dossier: Dossier, ctx: OpContext) -> str:
    """Gather fresh evidence if the last attempt requires it. Returns why the op cannot continue; normally empty."""
    last = dossier.feedback[-1] if dossier.feedback else None
    if last is None or last.rule not in AGAIN:
        return ""
    left = ctx.resources.regrounding
    ctx.resources.exploration = ExplorationCache()
    async with ctx.workspace(op, suffix="-ground") as workspace:
        context = context_of(op, dossier, ctx, workspace)
        ctx.resources.exploration.begin(op.tree, context)
        paths = files_to_read(op, dossier, left.paths)
        results, lines = await gather(op, ctx, context, paths)
        run = await run_again(op, ctx, workspace)
        ctx.resources.exploration.keep(context, results)
        red = [r.id for r in run.red] if run is not None else []
        after = sources_of(evidence_of(op, context.uses, context.reads, red))
    left.evidence_lines = tuple(lines)
    await ctx.record.note(
        Regrounded(
            why=last.rule,
            number=count_collapses(dossier),
            most=ctx.services.settings.grounding.regroundings,
            proximity_milli=left.caution_milli,
            signal=left.signal,
            before=left.sources,
            after=after,
            files=paths,
            tests=run.status.value if run else "",
            remembered=sum(title.startswith(MEMORY) for title, _ in results),
        )
    )
    return UNSTEADY if run is not None and run.status is RunStatus.GREEN else ""


def files_to_read(op: Operation, dossier: Dossier, before: Sequence[str]) -> tuple[str, ...]:
    """Files to read again: targets, files read before, test files, and chosen context."""
    chosen = [f.path for f in (dossier.expansion.files if dossier.expansion else ())]
    tests = [test.partition("::")[0] for test in op.test_ids]
    return tuple(dict.fromkeys([*op.targets, *before, *tests, *chosen]))[:PATHS]


async def gather(
    op: Operation, ctx: OpContext, context: ToolContext, paths: Sequence[str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Results by title, for a conversation's prompt, and the history in short lines without secrets."""
    results: list[tuple[str, str]] = []
    lines: list[str] = []
    for path in paths:
        read = await _ask(ctx, context, "read_file", path=path)
        if not read.use.ok:
            continue
        log = await _ask(ctx, context, "git_log", path=path, limit=COMMITS)
        if log.use.ok and log.use.found:
            results.append((f"git_log {path}", log.text))
            lines += [f"{path}: {line.strip()}" for line in log.text.splitlines() if line[:1].strip()]
    for text in await ctx.services.memory.advice(paths):
        marked = await screen_text(ctx, Phase.GENERATE, MEMORY, text)
        results.append((MEMORY, text if marked is None else f"{warning(marked)}\n{text}"))
        lines += [text] if marked is None else []
    return results, [" ".join(redact(line).split())[:TOLD_CHARS] for line in lines[:TOLD_LINES]]


async def _ask(ctx: OpContext, context: ToolContext, name: str, **arguments: str | int) -> ToolOutcome:
    return await call_tool(ctx, Phase.GENERATE, name, json.dumps(arguments), context)


async def run_again(op: Operation, ctx: OpContext, workspace: Workspace) -> TestRun | None:
    """A run of the op's tests in a new process; None without tests or runner."""
    runner = ctx.services.runner
    if runner is None or not op.test_ids:
        return None
    return await runner.run(workspace, op.test_ids, limit_s=ctx.services.settings.repair.test_limit_s)
