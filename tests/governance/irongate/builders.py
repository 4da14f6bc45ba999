"""Operations, candidates and inspections for the gate tests."""

from __future__ import annotations

from collections.abc import Mapping

from governance.irongate.inspection import Inspection
from ledger.ids import sha256_hex
from ledger.vocabulary import (
    Candidate,
    Complexity,
    Edit,
    EditKind,
    Operation,
    OwnerConfirms,
    Signal,
    Source,
    TestsPass,
    Urgency,
)

TEST_ID = "tests/test_calc.py::test_add"


TEST_FAILURE = Source("test_failure")


def signal(
    *, goal: str = "tests/test_calc.py::test_add fails", source: Source = TEST_FAILURE, depth: int = 0,
    ids: tuple[str, ...] = (TEST_ID,),
) -> Signal:  # fmt: skip
    closure = TestsPass(ids=ids) if ids else OwnerConfirms(question="Done?")
    return Signal(id="sig-1", source=source, goal=goal, key="0" * 64, closure=closure, base="c" * 40, depth=depth)


def operation(*signals: Signal) -> Operation:
    merged = signals or (signal(),)
    return Operation(
        id="op-" + "0" * 32 + "-test_failure", origin=merged[0].source, signals=merged, urgency=Urgency.NORMAL,
        base="c" * 40, created_at="2026-01-01T00:00:00.000Z",
    )  # fmt: skip


def edit(path: str, before: str | None, after: str | None, *, rationale: str = "", mode: int = 0o644) -> Edit:
    kind = EditKind.CREATE if before is None else EditKind.DELETE if after is None else EditKind.MODIFY
    return Edit(
        path=path, kind=kind, before=None if before is None else sha256_hex(before),
        after=None if after is None else after.encode(), rationale=rationale, mode=mode,
    )  # fmt: skip


def candidate(*edits: Edit) -> Candidate:
    return Candidate(edits=edits, provider="scripted", model="m", strategy="conversation")


def inspection(
    changes: Mapping[str, tuple[str | None, str | None]], *, op: Operation | None = None, read: bool = True,
    complexity: Complexity = Complexity.TRIVIAL, protected: tuple[str, ...] = (), own: tuple[str, ...] = (),
    plan: tuple[str, ...] | None = None, strict_ascii: bool = False, undone: tuple[str, ...] = (), mode: int = 0o644,
) -> Inspection:  # fmt: skip
    originals = {path: None if before is None else before.encode() for path, (before, _) in changes.items()}
    return Inspection(
        op=op or operation(),
        candidate=candidate(*(edit(path, b, a, mode=mode) for path, (b, a) in changes.items())),
        originals=originals,
        plan_paths=plan,
        reads={p: sha256_hex(b) for p, b in originals.items() if b is not None} if read else {},
        complexity=complexity,
        protected=protected,
        own=own,
        strict_ascii=strict_ascii,
        undone_diffs=undone,
    )
