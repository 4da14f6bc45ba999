"""Every gate that judges a candidate, always all of them, in order. Pure: what was read is handed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import Field

from governance.irongate.candidate import (
    g01_containment,
    g02_protected,
    g04_exploration,
    g05_characters,
    g06_coverage,
    g13_shrink,
    g14_noop,
    g15_secrets,
    g16_tests,
    g17_dangerous,
    g20_unattended,
)
from governance.irongate.op import g19_recursion
from governance.irongate.op.g19_recursion import change_hash, diff_hash
from governance.irongate.test_code.doctests import object_of
from governance.irongate.verdicts import denied, passed
from ledger.ids import sha256_hex
from ledger.vocabulary import (
    SEARCH,
    Candidate,
    Complexity,
    Decision,
    Edit,
    EditKind,
    Frozen,
    Operation,
    Tier,
    Verdict,
)
from tools.manifest import ToolUse

SEVERITY = {Decision.ALLOW: 0, Decision.REPAIR: 1, Decision.DENY: 2}


class Inspection(Frozen):
    """A candidate with everything that it is judged by.

    ``originals`` holds the bytes at the op's tree of every path that the candidate touches (None: did not exist).
    ``located`` holds what :func:`g01_containment.gather` found on disk; a path that is not in it is judged as text.
    """

    op: Operation
    candidate: Candidate
    originals: dict[str, bytes | None]
    plan_paths: tuple[str, ...] | None = None
    exploration: tuple[ToolUse, ...] = ()
    reads: dict[str, str] = Field({})
    complexity: Complexity
    protected: tuple[str, ...] = ()
    own: tuple[str, ...] = ()  # patterns of the daemon's own code, where this is its repository
    strict_ascii: bool = False
    undone_diffs: tuple[str, ...] = ()
    located: tuple[g01_containment.ContainmentFacts, ...] = ()
    tests: tuple[str, ...] = ()  # the sources of the failing tests
    raised: tuple[str, ...] = ()  # the exceptions that they failed with
    said: tuple[str, ...] = ()  # their messages
    known: tuple[str, ...] = ()  # what of :func:`asks` other files of the repository use


def inspect(inspection: Inspection) -> tuple[Verdict, ...]:
    """Gates 1, 2, 4, 5, 6, 13, 14, 15, 16, 17, 19 and 20: what each has to say, or that it has nothing against it."""
    gates = (
        (1, _containment(inspection)),
        (2, _protected(inspection)),
        (4, [_exploration(inspection)]),
        (5, [g05_characters.check(_characters(inspection, edit)) for edit in inspection.candidate.edits]),
        (6, [_coverage(inspection)]),
        (13, [g13_shrink.check(_shrink(inspection, edit)) for edit in inspection.candidate.edits]),
        (14, [_noop(inspection)]),
        (15, [g15_secrets.check(_secrets(inspection, edit)) for edit in inspection.candidate.edits]),
        (16, [g16_tests.check(_tests(inspection, edit)) for edit in inspection.candidate.edits]),
        (17, [g17_dangerous.check(_dangerous(inspection, edit)) for edit in inspection.candidate.edits]),
        (19, [_recursion(inspection)]),
        (20, [g20_unattended.check(_unattended(inspection, edit)) for edit in inspection.candidate.edits]),
    )
    return tuple(verdict for number, verdicts in gates for verdict in _telling(number, verdicts))


def decide(verdicts: Sequence[Verdict]) -> tuple[Decision, Tier]:
    """The worst decision and the highest floor. Without verdicts nothing was judged, so nothing is allowed."""
    if not verdicts:
        return Decision.DENY, Tier.SAFE_AUTO
    worst = max((verdict.decision for verdict in verdicts), key=SEVERITY.__getitem__)
    floor = max((verdict.floor for verdict in verdicts if verdict.floor is not None), default=Tier.SAFE_AUTO)
    return worst, floor


def objections(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """What is said against a candidate: every rule once, with the reason that it gave first; the worst lead."""
    if not verdicts:
        return (denied(0, "unjudged", "No gate has judged the candidate."),)
    first: dict[str, Verdict] = {}
    for verdict in sorted(verdicts, key=lambda verdict: -SEVERITY[verdict.decision]):
        if verdict.decision is not Decision.ALLOW:
            first.setdefault(verdict.rule, verdict)
    return tuple(first.values())


def _telling(number: int, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Verdicts that say something; one plain pass where none does."""
    plain = passed(number)
    return [verdict for verdict in verdicts if verdict != plain] or [plain]


def _touched(inspection: Inspection) -> Iterator[tuple[str, Edit]]:
    """Every path that an edit writes or takes away."""
    for edit in inspection.candidate.edits:
        yield edit.path, edit
        if edit.renamed_from is not None:
            yield edit.renamed_from, edit


def _before(inspection: Inspection, edit: Edit) -> bytes | None:
    """What stood there at the op's tree (for a rename: at the place it came from)."""
    return inspection.originals.get(edit.renamed_from or edit.path)


def _containment(inspection: Inspection) -> list[Verdict]:
    located = {facts.path: facts for facts in inspection.located}
    verdicts = []
    seen: set[str] = set()
    for path, edit in _touched(inspection):
        facts = located.get(path, g01_containment.ContainmentFacts(path=path)).model_copy(update={"mode": edit.mode})
        verdicts.append(g01_containment.check(facts))
        if path in seen:
            verdicts.append(denied(1, "twice", f"The candidate touches {path!r} twice.", evidence=(path,)))
        seen.add(path)
        verdicts.append(_consistent(inspection, path, edit))
    return verdicts


def _consistent(inspection: Inspection, path: str, edit: Edit) -> Verdict:
    """What the edit says about the file before must be what is there: else the other gates judged something else."""
    there = inspection.originals.get(path)
    is_source = path == (edit.renamed_from or edit.path)
    expected = edit.before if is_source and edit.kind is not EditKind.CREATE else None
    if (None if there is None else sha256_hex(there)) != expected:
        return denied(1, "before", f"{path!r} is not the file that the edit was made for.", evidence=(path,))
    if (edit.after is None) != (edit.kind is EditKind.DELETE) or (edit.kind is EditKind.RENAME) != bool(
        edit.renamed_from
    ):
        return denied(1, "kind", f"The edit of {path!r} is not what it says it is.", evidence=(path,))
    return passed(1)


def _protected(inspection: Inspection) -> list[Verdict]:
    return [
        g02_protected.check(g02_protected.ProtectedPathFacts(path=path, owner=inspection.protected, own=inspection.own))
        for path, _ in _touched(inspection)
    ]


def _exploration(inspection: Inspection) -> Verdict:
    edits = inspection.candidate.edits
    changed = tuple(e.renamed_from or e.path for e in edits if e.kind is not EditKind.CREATE)
    return g04_exploration.check(
        g04_exploration.ExplorationFacts(
            complexity=inspection.complexity, uses=inspection.exploration, changed=changed, read=tuple(inspection.reads)
        )
    )


def _characters(inspection: Inspection, edit: Edit) -> g05_characters.CharacterFacts:
    before = _before(inspection, edit)
    return g05_characters.CharacterFacts(
        path=edit.path, before=before, after=edit.after, strict_ascii=inspection.strict_ascii
    )


def _coverage(inspection: Inspection) -> Verdict:
    changed = tuple(path for path, _ in _touched(inspection))
    reasoned = tuple(path for path, edit in _touched(inspection) if edit.rationale.strip())
    return g06_coverage.check(
        g06_coverage.CoverageFacts(planned=inspection.plan_paths, changed=changed, reasoned=reasoned)
    )


def _shrink(inspection: Inspection, edit: Edit) -> g13_shrink.ShrinkFacts:
    return g13_shrink.ShrinkFacts(
        path=edit.path,
        kind=edit.kind,
        before=_before(inspection, edit),
        after=edit.after,
        deletion_wanted=g13_shrink.wants_deletion(inspection.op),
    )


def _noop(inspection: Inspection) -> Verdict:
    about_code = any(signal.closure.about_code for signal in inspection.op.signals)
    files = tuple(
        g14_noop.FileChange(
            path=path, before=inspection.originals.get(path), after=edit.after if path == edit.path else None
        )
        for path, edit in _touched(inspection)
    )
    return g14_noop.check(g14_noop.NoopFacts(files=files, about_code=about_code))


def _secrets(inspection: Inspection, edit: Edit) -> g15_secrets.SecretFacts:
    return g15_secrets.SecretFacts(path=edit.path, before=_before(inspection, edit), after=edit.after)


def _tests(inspection: Inspection, edit: Edit) -> g16_tests.ChangedTestFacts:
    failing = tuple(dict.fromkeys(test_id.split("::", 1)[0] for test_id in inspection.op.test_ids))
    plain = {test_id.split("::", 1)[0] for test_id in inspection.op.test_ids if object_of(test_id) is None}
    return g16_tests.ChangedTestFacts(
        path=edit.path,
        before=_before(inspection, edit),
        after=edit.after,
        failing=failing,
        documented=tuple(path for path in failing if path not in plain),
        old_path=edit.renamed_from,
        tests=inspection.tests,
        raised=inspection.raised,
    )


def _dangerous(inspection: Inspection, edit: Edit) -> g17_dangerous.DangerFacts:
    return g17_dangerous.DangerFacts(path=edit.path, before=_before(inspection, edit), after=edit.after)


def _recursion(inspection: Inspection) -> Verdict:
    undone = inspection.undone_diffs
    change = change_hash(inspection.candidate, inspection.originals) if undone else ""
    diff = diff_hash(inspection.candidate)
    return g19_recursion.check(
        g19_recursion.RecursionFacts(depth=inspection.op.depth, diff=diff, change=change, undone=undone)
    )


def _unattended(inspection: Inspection, edit: Edit) -> g20_unattended.UnattendedFacts:
    return g20_unattended.UnattendedFacts(
        path=edit.path,
        kind=edit.kind,
        before=_before(inspection, edit),
        after=edit.after,
        runs=bool(edit.mode & 0o111) and edit.kind is not EditKind.MODIFY,  # a file that is there keeps its mode
        tests=inspection.tests,
        said=inspection.said,
        known=inspection.known,
        by_search=inspection.candidate.strategy == SEARCH,
        closes_by_tests=bool(inspection.op.test_ids),
    )


def asks(candidate: Candidate, originals: Mapping[str, bytes | None]) -> frozenset[str]:
    """What gate 20 wants to know of the repository's other files: imports and attributes that are new."""
    return frozenset(
        one
        for edit in candidate.edits
        for one in g20_unattended.wanted(edit.path, originals.get(edit.renamed_from or edit.path), edit.after)
    )
