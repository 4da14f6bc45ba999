"""CONTEXT_EXPANSION: choose files to read. The model sees only file names, and its answer is checked against them."""

from __future__ import annotations

from pydantic import BaseModel

from governance.conversation import prompts
from governance.conversation.answers import parse_answer
from governance.conversation.injection_screen import screen_text
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import ContextFile, Dossier, Expansion
from governance.pipeline.phase import PhaseResult, PhaseSpec
from kernel.canary import CollapseDetected
from kernel.provider import Limits, Message
from ledger.events.op import ContextExpanded
from ledger.vocabulary import Operation, Phase

ROUNDS = 2
PER_ROUND = 5
IN_ALL = 10
NAMES_SHOWN = 600


class RequestedFile(BaseModel):
    """One file that the model requests."""

    path: str
    reason: str = ""


class ExpansionAnswer(BaseModel):
    files: list[RequestedFile] = []


async def by_model(op: Operation, ctx: OpContext, names: tuple[str, ...]) -> Expansion:
    """Files chosen by the model in up to ``ROUNDS`` rounds; ends early when a round adds no existing file."""
    known, refused = set(names), list[str]()
    chosen: dict[str, ContextFile] = {}
    listing = "\n".join(names[:NAMES_SHOWN])
    await screen_text(ctx, Phase.CONTEXT_EXPANSION, "names of files", listing)
    rounds = 0
    for number in range(ROUNDS):
        rounds = number + 1
        user = f"{prompts.goal(op, (), posture=ctx.client.posture)}\n\nFiles:\n{prompts.data('names', listing, 24_000)}"
        if chosen:
            so_far = prompts.data("chosen", "\n".join(chosen))
            user += f"\n\nChosen so far:\n{so_far}\nName others, or an empty list."
        try:
            turn = await ctx.client.turn(
                Phase.CONTEXT_EXPANSION,
                "expansion",
                [Message(role="system", text=prompts.EXPAND), Message(role="user", text=user)],
                limits=Limits(max_tokens=512),
            )
        except CollapseDetected:
            break  # collapsed answer: continue with the files chosen so far
        answer, _ = parse_answer(turn.text, ExpansionAnswer)
        fresh = [w for w in (answer.files if answer else [])[:PER_ROUND] if w.path not in chosen]
        refused += [w.path for w in fresh if w.path not in known]
        confirmed = [w for w in fresh if w.path in known]
        if not confirmed:
            break
        chosen.update({w.path: ContextFile(path=w.path, reason=w.reason[:200]) for w in confirmed})
    return Expansion(files=tuple(chosen.values())[:IN_ALL], rounds=rounds, refused=tuple(refused))


async def by_script(op: Operation, ctx: OpContext) -> Expansion:
    """For providers that do not plan: the files that the failing tests import."""
    graph = (await ctx.services.codebases.at(op.tree)).imports
    files: dict[str, ContextFile] = {}
    for test_file in dict.fromkeys(i.partition("::")[0] for i in op.test_ids):
        for path in sorted(graph.get(test_file, ())):
            files.setdefault(path, ContextFile(path=path, reason=f"imported by {test_file}"))
    return Expansion(files=tuple(files.values())[:IN_ALL])


async def expand(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """Choose context files, by model if the provider can plan, else by script."""
    if ctx.client.provider.capabilities.plans:
        output = await by_model(op, ctx, await ctx.services.repository.files(op.tree))
    else:
        output = await by_script(op, ctx)
    await ctx.record.note(
        ContextExpanded(files=[[f.path, f.reason] for f in output.files], refused=output.refused, rounds=output.rounds)
    )
    return PhaseResult(output=output, reason=f"{len(output.files)} files")


SPEC = PhaseSpec(output=Expansion, run=expand)
