"""L2 repair with a model that converses: a few rounds of patch, test, diagnosis, inside GENERATE and on its own clock.

The set of failing tests with their messages is the measure of progress. Two rounds without progress, a signature that
was seen before, or the clock end it. Only a patch that turns the failing tests green is offered, and it takes the
normal way through every gate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from governance.crew import Crew
from governance.difftext import line_changes
from governance.dossier import Dossier, Feedback
from governance.irongate.battery import diff_hash
from governance.loop.conversation import converse
from governance.measure import explain
from governance.repair.proposal import Proposal
from governance.repair.settings import RepairSettings
from ledger.errors import StaleBase
from ledger.ids import sha256_hex
from ledger.vocabulary import (
    Candidate,
    EntryKind,
    Operation,
    RootCause,
    RunStatus,
    State,
    TestResult,
    TestRun,
)


class Trouble(StrEnum):
    """What kind of failure a round ended in."""

    NONE = "none"
    SYNTAX = "syntax"
    IMPORT = "import"
    TYPE = "type"
    TEST = "test"
    ENVIRONMENT = "environment"
    TIMEOUT = "timeout"


@dataclass(slots=True)
class Course:
    """How the rounds went so far."""

    seen: set[str] = field(default_factory=set)
    measures: list[frozenset[str]] = field(default_factory=list)

    def stuck(self) -> bool:
        """The last two rounds left the failing set as it was."""
        return len(self.measures) >= 3 and self.measures[-1] == self.measures[-2] == self.measures[-3]


def classify_failure(run: TestRun) -> Trouble:
    """Pure: from a run to its kind of trouble."""
    if run.status is RunStatus.GREEN:
        return Trouble.NONE
    if run.status is RunStatus.TIMEOUT:
        return Trouble.TIMEOUT
    if run.status is not RunStatus.RED:
        return Trouble.ENVIRONMENT
    kinds = {r.exception for r in run.red}
    if kinds & {"SyntaxError", "IndentationError", "TabError"}:
        return Trouble.SYNTAX
    if kinds & {"ImportError", "ModuleNotFoundError"}:
        return Trouble.IMPORT
    return Trouble.TYPE if kinds <= {"TypeError", "AttributeError", "NameError"} else Trouble.TEST


def too_large(candidate: Candidate, originals: Mapping[str, bytes | None], settings: RepairSettings) -> str:
    """Why a repair is larger than L2 may make; empty when it is not. ``originals``: what stands there before."""
    if len(candidate.edits) > settings.linear_files:
        return f"a repair may touch {settings.linear_files} files, this one touches {len(candidate.edits)}"
    lines = sum(line_changes(originals.get(e.renamed_from or e.path), e.after)[0] for e in candidate.edits)
    if lines > settings.linear_changed_lines:
        return f"a repair may change {settings.linear_changed_lines} lines, this one changes {lines}"
    return ""


def measure(run: TestRun) -> frozenset[str]:
    """The failing tests with their messages."""
    return frozenset(f"{r.id}|{sha256_hex(r.message)[:12]}" for r in run.red) or frozenset({run.status.value})


async def linear(op: Operation, dossier: Dossier, crew: Crew, failing: tuple[TestResult, ...]) -> Proposal:
    """Rounds of patch and test until the failing tests pass or a stop is met."""
    settings, course = crew.shop.settings.repair, Course()
    last = Proposal(candidate=None, reason="L2 repair made no candidate", cause=RootCause.NO_CANDIDATE)
    try:
        async with asyncio.timeout(crew.shop.settings.clocks.repair_s):
            for number in range(1, settings.linear_rounds + 1):
                proposal = await converse(op, dossier, crew, failing)
                if proposal.candidate is None or proposal.candidate.schema_tag != "2b.1":
                    text, trouble = proposal.reason, Trouble.SYNTAX
                else:
                    last = proposal
                    text, trouble = await attempt(op, crew, proposal.candidate, course)
                await crew.record.note(
                    EntryKind.RUN, "repair.round", phase=State.GENERATE, round=number, trouble=trouble.value
                )
                if trouble is Trouble.NONE:
                    return proposal
                if trouble is Trouble.ENVIRONMENT or course.stuck() or text == "oscillation":
                    break
                dossier = dossier.with_feedback(
                    Feedback(phase=State.GENERATE, rule=f"repair.{trouble.value}", text=text)
                )
    except TimeoutError:
        await crew.record.note(EntryKind.RUN, "repair.deadline", phase=State.GENERATE)
    if last.candidate is None:
        return last
    return Proposal(
        candidate=None, reason="L2 repair ended without a patch that turns the tests green", tried=len(course.seen)
    )


async def attempt(op: Operation, crew: Crew, candidate: Candidate, course: Course) -> tuple[str, Trouble]:
    """Test one patch in a workspace; the text is the diagnosis for the next round."""
    runner, settings = crew.shop.runner, crew.shop.settings.repair
    if runner is None:
        return crew.shop.runner_problem, Trouble.ENVIRONMENT
    sources = [edit.renamed_from or edit.path for edit in candidate.edits]
    originals = {path: await crew.shop.repository.read(op.tree, path) for path in sources}
    large = await asyncio.to_thread(too_large, candidate, originals, settings)
    if large:
        return large, Trouble.SYNTAX
    async with crew.workspace(op) as workspace:
        try:
            await workspace.apply(candidate.edits)
        except StaleBase as error:
            return str(error), Trouble.SYNTAX
        run = await runner.run(workspace, op.test_ids, limit_s=settings.test_limit_s)
    signature = diff_hash(candidate) + "".join(sorted(measure(run)))
    if signature in course.seen:
        return "oscillation", Trouble.TEST
    course.seen.add(signature)
    course.measures.append(measure(run))
    return explain(run, {r.id for r in run.red}), classify_failure(run)
