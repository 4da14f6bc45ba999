"""The dossier of an op: typed outputs of its phases so far, checked when they are merged.

A dossier is frozen and serialisable, so that a waiting op can be stored whole and resumed by another process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, TypeVar, get_args, get_type_hints

from pydantic import Field

from governance.changes.types import Committed, Receipt
from ledger.errors import PhaseContract
from ledger.events.check import RunReport as RunReport
from ledger.vocabulary import (
    Candidate,
    Complexity,
    Edit,
    Frozen,
    Phase,
    Route,
    Tier,
    Verdict,
)
from tools.manifest import ToolUse


class Output(Frozen):
    """Base of phase outputs. ``phase``: the phase that produces it; ``schema_tag``: its version."""

    phase: ClassVar[Phase]
    schema_tag: str


SomeOutput = TypeVar("SomeOutput", bound=Output)


class Classification(Output):
    phase = Phase.CLASSIFY
    schema_tag: Literal["classify.1"] = "classify.1"
    tier: Tier
    complexity: Complexity
    change_type: str
    rule: int
    reasons: tuple[str, ...]
    blast_bp: int
    foretold: bool = False  # memory raised the tier


class Routing(Output):
    phase = Phase.ROUTE
    schema_tag: Literal["route.1"] = "route.1"
    route: Route
    reason: str
    turn_ms: int  # one model turn, grace included
    op_ms: int  # the op's own working time


class ContextFile(Frozen):
    path: str
    reason: str


class Expansion(Output):
    phase = Phase.CONTEXT_EXPANSION
    schema_tag: Literal["expansion.1"] = "expansion.1"
    files: tuple[ContextFile, ...] = ()
    rounds: int = 0
    refused: tuple[str, ...] = ()  # named by the model but outside the repository or missing


class PlannedChange(Frozen):
    path: str
    what: str
    after: tuple[str, ...] = ()  # paths whose change must come first


class ChangePlan(Output):
    phase = Phase.PLAN
    schema_tag: Literal["plan.1"] = "plan.1"
    approach: str = ""
    complexity: Complexity | None = None
    ordered_changes: tuple[PlannedChange, ...] = ()
    risk_factors: tuple[str, ...] = ()
    test_strategy: str = ""
    architectural_notes: str = ""
    failed: str = ""  # why there is no plan (a failed plan is soft)


class Generation(Output):
    phase = Phase.GENERATE
    schema_tag: Literal["generation.1"] = "generation.1"
    candidate: Candidate
    exploration: tuple[ToolUse, ...] = ()
    reads: dict[str, str] = Field(default_factory=dict)  # path -> sha256 of what was read
    tried: int = 0  # candidates that were tested to get this one
    notes: tuple[str, ...] = ()
    shown: tuple[str, ...] | None = None  # failing tests that the author saw; None: it could read them all
    repaired: tuple[str, ...] = ()  # tests that failed
    failed: tuple[str, ...] = ()  # the op's tests that were run and failed
    raised: tuple[str, ...] = ()  # the exceptions that they failed with
    said: tuple[str, ...] = ()  # their messages, redacted
    remembered: bool = False  # memory added advice to the prompt
    doubt: str = ""  # an input on which another passing repair differs
    proximity_milli: int = 0  # the answer's proximity to a collapse


class Validation(Output):
    phase = Phase.VALIDATE
    schema_tag: Literal["validation.1"] = "validation.1"
    runs: tuple[RunReport, ...]
    verdicts: tuple[Verdict, ...]
    suite_ran: bool
    passed: int
    total: int
    missed: tuple[str, ...] = ()
    """Changed code that no test reached, one sentence each."""
    anyway: tuple[str, ...] = ()
    """Tests that failed before, but now pass even without the change."""


class Gating(Output):
    phase = Phase.GATE
    schema_tag: Literal["gate.1"] = "gate.1"
    tier: Tier
    rule: int
    reasons: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    blast_bp: int
    foretold: bool = False  # memory raised the tier


class Approval(Output):
    phase = Phase.APPROVE
    schema_tag: Literal["approval.1"] = "approval.1"
    decision: Literal["passed", "notified", "approved"]
    by: str
    at: str


class Application(Output):
    phase = Phase.APPLY
    schema_tag: Literal["apply.1"] = "apply.1"
    receipt: Receipt
    marks: tuple[Edit, ...] = ()  # edits that the daemon adds to the candidate's
    changed_neighbours: tuple[str, ...] = ()


class Verification(Output):
    phase = Phase.VERIFY
    schema_tag: Literal["verify.1"] = "verify.1"
    runs: tuple[RunReport, ...]
    closed: bool
    closure_reason: str
    passed: int
    total: int
    committed: Committed | None  # None for a dry run
    intent_seq: int | None


class Feedback(Frozen):
    """Why an attempt was sent back, for the next one's prompt."""

    phase: Phase
    rule: str
    text: str
    candidate: str = ""  # hash of the diff that was refused


WAITED_RULE = "claims.waited"
"""Feedback rule of an attempt that is stale because another op changed its files: no fault of the candidate."""
COLLAPSE_RULE = "generate.collapse"
"""Feedback rule of an attempt whose answer collapsed."""
POLICY_RULES = ("gate", "policy.", "workspace.")
"""Prefixes of rules that refuse the change itself, not the form of the answer."""


class Dossier(Frozen):
    """All outputs so far. The output of an earlier phase replaces those of later ones.

    One field for each phase, in their order; its type is the phase's output or None.
    """

    classification: Classification | None = None
    routing: Routing | None = None
    expansion: Expansion | None = None
    plan: ChangePlan | None = None
    generation: Generation | None = None
    validation: Validation | None = None
    gating: Gating | None = None
    approval: Approval | None = None
    application: Application | None = None
    verification: Verification | None = None
    feedback: tuple[Feedback, ...] = ()
    marked: tuple[Verdict, ...] = ()  # untrusted texts marked by gate 18; only ever added to

    def merge(self, phase: Phase, output: Output | None) -> Dossier:
        """The dossier with ``output`` of ``phase`` added, and the outputs of later phases removed.

        Raises ``PhaseContract`` when the output's type does not belong to the phase.
        """
        if output is None:
            return self
        kept = _FIELDS.get(type(output))
        if kept is None or type(output).phase is not phase:
            raise PhaseContract(f"{phase} returned {type(output).__name__}, which is not its output.")
        later = list(_FIELDS.values())[list(_FIELDS).index(type(output)) + 1 :]
        return self.model_copy(update={kept: output, **dict.fromkeys(later)})

    def require(self, output: type[SomeOutput]) -> SomeOutput:
        """The output of an earlier phase. Raises ``PhaseContract`` when there is none."""
        found = getattr(self, _FIELDS[output])
        if not isinstance(found, output):
            raise PhaseContract(f"There is no output of {output.phase}.")
        return found

    @property
    def refusals(self) -> tuple[Feedback, ...]:
        """Feedback from gates and tool policy, the latest for each rule, in order of first refusal."""
        return tuple({f.rule: f for f in self.feedback if f.rule.startswith(POLICY_RULES)}.values())

    def with_feedback(self, feedback: Feedback) -> Dossier:
        return self.model_copy(update={"feedback": (*self.feedback, feedback)})

    def with_marked(self, verdicts: Iterable[Verdict]) -> Dossier:
        return self.model_copy(update={"marked": tuple(dict.fromkeys((*self.marked, *verdicts)))})

    @property
    def tier(self) -> Tier:
        """The highest tier that any phase has assigned."""
        tiers = [o.tier for o in (self.classification, self.gating) if o is not None]
        return max(tiers, default=Tier.SAFE_AUTO)

    @property
    def used_memory(self) -> bool:
        """True when memory raised the op's tier or added advice to the candidate's prompt."""
        foretold = any(o.foretold for o in (self.classification, self.gating) if o is not None)
        return foretold or (self.generation is not None and self.generation.remembered)

    @property
    def complexity(self) -> Complexity:
        """The classified complexity, which the plan can only raise."""
        classified = self.classification.complexity if self.classification else Complexity.SIMPLE
        proposed = self.plan.complexity if self.plan and self.plan.complexity is not None else classified
        return max(classified, proposed)


_FIELDS: Mapping[type[Output], str] = {
    part: name
    for name, annotation in get_type_hints(Dossier).items()
    for part in get_args(annotation)
    if isinstance(part, type) and issubclass(part, Output)
}
"""The dossier's field of each output, in the order of the phases."""
