"""VALIDATE: whose Python it is that has to parse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from governance.irongate.battery import decide
from governance.irongate.verdicts import passed
from governance.phases import validate as phase
from governance.phases.validate import syntax_problem, unread, validate
from governance.pipeline.dossier import Dossier, Generation, Validation
from governance.settings import GovernanceSettings
from governance.verification.test_runs import Measured
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Edit, EditKind, State, Tier, Verdict
from tests.governance.crewed import crew_in
from tests.governance.ops import candidate, modify, operation, signal
from tests.governance.shopfloor import Priced
from tests.repos import git, make_repo
from tools.testing.runner import TestRunner

OLD, BROKEN = b"def f(a):\n    return a\n", b"def f(a:\n    return a\n"
NEWER = b"def f(a):\n    return -a ?? 0\n"  # for whichever Python the daemon has
MENDED = NEWER.replace(b"-a", b"a")


@pytest.mark.parametrize(
    ("path", "before", "after", "refused"),
    [
        ("a.py", OLD, OLD, False),
        ("a.py", OLD, BROKEN, True),
        ("a.py", NEWER, MENDED, False),
        ("a.pyi", NEWER, MENDED, False),
        ("a.py", BROKEN, OLD, False),
        ("a.py", None, BROKEN, True),
        ("a.py", None, MENDED, True),
        ("a.txt", None, BROKEN, False),
    ],
)
def test_only_what_parsed_before_or_is_new_has_to_parse(
    path: str, before: bytes | None, after: bytes, refused: bool
) -> None:
    change = candidate(Edit(path=path, kind=EditKind.MODIFY, before=None, after=after))
    problem = syntax_problem(change, {path: before})
    assert bool(problem) is refused and (not refused or problem.startswith(f"{path} does not parse: "))
    assert bool(unread(change)) is (path != "a.txt" and after in (BROKEN, MENDED))


FILES = {"good.py": OLD.decode(), "new.py": NEWER.decode(), "notes.txt": "no Python\n"}


async def validated(
    tmp_path: Path, ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, *edits: Edit
) -> Any:
    """VALIDATE with gates and tests that find nothing."""

    async def nothing_found(*_: object) -> tuple[Verdict, ...]:
        return (passed(16),)

    async def all_pass(*_: object, **__: object) -> Measured:
        return Measured(reports=(), suite_ran=True, passed=1, total=1)

    monkeypatch.setattr(phase, "gates", nothing_found)
    monkeypatch.setattr(phase, "measure_runs", all_pass)
    repo = make_repo(tmp_path / "repo", FILES)
    op = operation(signal("tests/test_a.py::test_a", base=git(repo, "rev-parse", "HEAD")))
    async with crew_in(repo, ledger, clock, Priced()) as (crew, _):
        settings = GovernanceSettings.model_validate({"pipeline": {"type_check": "off"}})
        shop = replace(crew.shop, runner=cast(TestRunner, object()), settings=settings)
        crew = replace(crew, shop=shop)
        dossier = Dossier(generation=Generation(candidate=candidate(*edits)))
        return await validate(op, dossier, crew)


async def test_a_repair_of_a_file_in_a_newer_python_is_shown_to_a_person(
    tmp_path: Path, ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await validated(tmp_path, ledger, clock, monkeypatch, modify("new.py", NEWER, MENDED))
    assert result.next is State.GATE and isinstance(result.output, Validation)
    assert decide(result.output.verdicts)[1] is Tier.APPROVAL_REQUIRED, "no gate has read it"


async def test_a_repair_that_parses_asks_for_nothing(
    tmp_path: Path, ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = modify("good.py", OLD, OLD.replace(b"a\n", b"-a\n"))
    result = await validated(tmp_path, ledger, clock, monkeypatch, edit)
    assert result.next is State.GATE and decide(result.output.verdicts)[1] is Tier.SAFE_AUTO


async def test_a_file_that_was_no_python_before_has_to_parse(
    tmp_path: Path, ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = modify("new2.py", b"no Python\n", b"no Python (\n").model_copy(
        update={"kind": EditKind.RENAME, "renamed_from": "notes.txt"}
    )
    for edit in (renamed, modify("good.py", OLD, BROKEN)):
        result = await validated(tmp_path / edit.path, ledger, clock, monkeypatch, edit)
        assert (result.next, result.feedback.rule) == (State.GENERATE, "validate.parse")
