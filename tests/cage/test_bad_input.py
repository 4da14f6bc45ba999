"""Bad input: what a hostile repository brings, by the numbers of the first attack from outside, and where it is shown
that it is stopped, that the owner is told in a sentence, and that the daemon lives on. The plays are elsewhere, once.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WALLS = ROOT / "tests/cage/walls"
TOLD = {
    1: "tools/testing/test_environment.py::test_one_that_the_repository_carries_is_passed_over_and_told",
    2: "daemon/test_doctor.py::test_programs_that_the_repository_names_are_told_with_what_to_do",
    3: "ledger/test_programs.py::test_a_folder_that_was_left_out_before_is_named",
    4: "e2e/test_hostile_candidates.py::test_a_hostile_candidate_waits_for_a_person_or_fails",
    5: "tools/test_workspace.py::test_links_are_never_followed",
    6: "daemon/test_doctor.py::test_every_wall_has_a_line_with_its_proof",
    7: "daemon/test_doctor.py::test_every_wall_has_a_line_with_its_proof",
    8: "daemon/test_verifying.py::test_each_tampering_is_named_by_row",
    9: "e2e/test_unattended.py::test_what_misses_the_list_waits_and_lands_with_the_owners_yes",
    10: "e2e/test_secrets.py::test_none_of_them_is_seen_anywhere",
    11: "tools/test_drivers.py::test_nothing_is_fetched_for_a_missing_object",
    12: "daemon/evaluation/test_hostile_tasks.py::test_a_program_that_a_task_names_is_not_started",
    13: "governance/changes/test_hooks.py::"
    "test_a_folder_that_may_not_be_shown_is_a_refusal_and_the_owner_may_name_his_own",
    14: "daemon/test_verifying.py::test_a_branch_in_another_letter_case_is_found",
}
LIVES_ON = (
    "cage/hostile_repositories/test_daemon.py::test_a_bug_is_mended_and_nothing_outside_was_touched",
    "e2e/test_nothing_runs_outside.py::test_nothing_of_the_repository_runs",
    "e2e/test_bad_suites.py::test_what_misbehaves_stands_in_nobodys_way",
)


def is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in tree.body)


@pytest.mark.parametrize("finding", TOLD)
def test_a_finding_is_stopped_and_told(finding: int) -> None:
    assert is_there(TOLD[finding]), TOLD[finding]
    assert [*WALLS.glob(f"f{finding:02}_*.py")], "no attack of this number is played with its wall and without"


def test_no_finding_is_forgotten_and_the_daemon_lives_on() -> None:
    assert list(TOLD) == list(range(1, 15))
    assert [test for test in LIVES_ON if not is_there(test)] == []
