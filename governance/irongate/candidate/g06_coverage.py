"""Gate 6, coverage of the plan: every file that the plan names is changed, and no other without a stated reason."""

from __future__ import annotations

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.verdicts import passed, repairable, shown
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 6


class CoverageFacts(Frozen):
    """Paths of the plan (None: the op has no plan), paths of the candidate, and those of it that give a reason."""

    planned: tuple[str, ...] | None
    changed: tuple[str, ...]
    reasoned: tuple[str, ...] = ()


def check(facts: CoverageFacts) -> Verdict:
    """Repair when a planned file is left out, or a file outside the plan has no reason."""
    if facts.planned is None:
        return passed(NUMBER)
    left_out = sorted(set(facts.planned) - set(facts.changed))
    if left_out:
        names = ", ".join(shown(path) for path in left_out)
        return repairable(
            NUMBER, "left_out", f"The plan names files that the change leaves out: {names}.", evidence=left_out
        )
    outside = sorted(set(facts.changed) - set(facts.planned) - set(facts.reasoned))
    if outside:
        names = ", ".join(shown(path) for path in outside)
        return repairable(
            NUMBER, "outside_plan", f"Files outside the plan need a reason each, or must go: {names}.", evidence=outside
        )
    return passed(NUMBER)


def select_facts(inspection: Inspection) -> tuple[CoverageFacts]:
    """The whole candidate."""
    changed = tuple(path for path, _ in inspection.touched())
    reasoned = tuple(path for path, edit in inspection.touched() if edit.rationale.strip())
    return (CoverageFacts(planned=inspection.plan_paths, changed=changed, reasoned=reasoned),)


EXAMPLES: tuple[tuple[CoverageFacts, Decision], ...] = (
    (CoverageFacts(planned=None, changed=("a.py", "b.py")), Decision.ALLOW),
    (CoverageFacts(planned=("a.py",), changed=("a.py",)), Decision.ALLOW),
    (CoverageFacts(planned=("a.py", "b.py"), changed=("a.py",)), Decision.REPAIR),
    (CoverageFacts(planned=("a.py",), changed=("a.py", "b.py")), Decision.REPAIR),
    (CoverageFacts(planned=("a.py",), changed=("a.py", "b.py"), reasoned=("b.py",)), Decision.ALLOW),
)
GATE = Gate(
    number=NUMBER,
    name="coverage",
    summary="files of the plan that are left out, and others without a reason",
    subjects=(Subject.CANDIDATE,),
    facts=CoverageFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
