"""VALIDATE: whose Python it is that has to parse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from governance.approval.refusals import Refused
from governance.irongate.candidate_gates import decide
from governance.phases.validate import syntax_problem, unread_floors, validate
from governance.pipeline.dossier import Classification, Dossier, Generation, Validation
from governance.pipeline.phase import PhaseResult, ResultKind
from governance.risk.codebase import Codebases
from governance.verification.baseline import Baselines
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Complexity, Edit, EditKind, Tier
from tests.e2e.world import repo_with
from tests.governance.crewed import crew_in
from tests.governance.ops import candidate, modify, operation, signal
from tests.governance.shopfloor import Priced
from tests.repos import git
from tests.tools.testing.projects import make_project
from tools.repository import Repository

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
    assert bool(unread_floors(change)) is (path != "a.txt" and after in (BROKEN, MENDED))


GOOD, NEW = "tests/test_a.py::test_good", "tests/test_a.py::test_new"
FILES = {
    "good.py": OLD.decode(),
    "new.py": NEWER.decode(),
    "notes.txt": "no Python\n",
    "tests/test_a.py": (
        "from pathlib import Path\n\nfrom good import f\n\n\ndef test_good():\n    assert f(1) == -1\n\n\n"
        'def test_new():\n    assert "return a ??" in Path("new.py").read_text()\n'
    ),
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
}


async def validated(tmp_path: Path, ledger: Ledger, clock: ManualClock, test: str, edit: Edit) -> PhaseResult:
    """VALIDATE with all gates and the tests of a small repository, for a candidate that should make ``test`` pass."""
    repo = repo_with(tmp_path / "repo", FILES)
    project = await make_project(tmp_path, {}, None, "bwrap")
    op = operation(signal(test, base=git(repo, "rev-parse", "HEAD")))
    read = edit.renamed_from or edit.path
    dossier = Dossier(
        classification=Classification(
            tier=Tier.SAFE_AUTO, complexity=Complexity.TRIVIAL, change_type="fix", rule=12, reasons=(), blast_bp=0
        ),
        generation=Generation(candidate=candidate(edit), reads={read: edit.before or ""}, failed=(test,)),
    )
    refused = Refused(ledger=ledger)
    await refused.prepare()
    async with crew_in(repo, ledger, clock, Priced()) as (ctx, _):
        repository = Repository(ctx.services.git)
        services = replace(
            ctx.services,
            tests=project.runner(),
            repository=repository,
            codebases=Codebases(repository),
            baselines=Baselines(workspaces=ctx.services.workspaces),
            refused=refused,
        )
        return await validate(op, dossier, replace(ctx, services=services))


async def test_a_repair_of_a_file_in_a_newer_python_is_shown_to_a_person(
    tmp_path: Path, ledger: Ledger, clock: ManualClock
) -> None:
    result = await validated(tmp_path, ledger, clock, NEW, modify("new.py", NEWER, MENDED))
    assert result.kind is ResultKind.DONE and isinstance(result.output, Validation), result.reason
    assert decide(result.output.verdicts)[1] is Tier.APPROVAL_REQUIRED, "no gate has read it"
    assert "validate.unread" in {verdict.rule for verdict in result.output.verdicts}


async def test_a_repair_that_parses_asks_for_nothing(tmp_path: Path, ledger: Ledger, clock: ManualClock) -> None:
    edit = modify("good.py", OLD, OLD.replace(b"return a\n", b"return -a\n"))
    result = await validated(tmp_path, ledger, clock, GOOD, edit)
    assert result.kind is ResultKind.DONE and isinstance(result.output, Validation), result.reason
    assert decide(result.output.verdicts)[1] is Tier.SAFE_AUTO
    assert (result.output.missed, result.output.anyway, result.output.suite_ran) == ((), (), True)


async def test_a_repair_that_repairs_nothing_is_sent_back(tmp_path: Path, ledger: Ledger, clock: ManualClock) -> None:
    edit = modify("good.py", OLD, OLD.replace(b"return a\n", b"return a + 1\n"))
    result = await validated(tmp_path, ledger, clock, GOOD, edit)
    assert result.kind is ResultKind.RETRY and result.feedback is not None
    assert result.feedback.rule == "validate.tests" and GOOD in result.feedback.text


async def test_a_repair_that_a_gate_refuses_is_sent_back(tmp_path: Path, ledger: Ledger, clock: ManualClock) -> None:
    edit = modify("good.py", OLD, OLD.replace(b"return a\n", b"return -a\n# ... rest of the file ...\n"))
    result = await validated(tmp_path, ledger, clock, GOOD, edit)
    assert result.kind is ResultKind.RETRY and result.feedback is not None
    assert result.feedback.rule.startswith("gate13.")


async def test_a_file_that_was_no_python_before_has_to_parse(
    tmp_path: Path, ledger: Ledger, clock: ManualClock
) -> None:
    renamed = modify("new2.py", b"no Python\n", b"no Python (\n").model_copy(
        update={"kind": EditKind.RENAME, "renamed_from": "notes.txt"}
    )
    for edit in (renamed, modify("good.py", OLD, BROKEN)):
        result = await validated(tmp_path / edit.path, ledger, clock, GOOD, edit)
        assert result.kind is ResultKind.RETRY and result.feedback is not None
        assert result.feedback.rule == "validate.parse"
