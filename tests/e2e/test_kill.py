"""The whole daemon is killed (SIGKILL) at every point that matters; after a restart nothing is lost, torn or doubled.

The rounds are played by ``kill_rounds.py``. Every round checks, after recovery and again at the end: the tree is wholly
old or wholly new and agrees with HEAD and index, the owner's own work is untouched, nothing of ours is left; and at the
end: the signal is done, each op ended once, there is one commit, the chain verifies, no child process lives, and
another boot finds nothing to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tests.e2e.kill_rounds import RUNNING, Boot, Orders, Result, Round

ROOT = Path(__file__).resolve().parents[2]
MEMORY = Path("/dev/shm")  # the order of effects is tested here, not the disk
PHASES = (
    "CLASSIFY", "ROUTE", "CONTEXT_EXPANSION", "PLAN", "GENERATE", "VALIDATE", "GATE", "APPROVE", "APPLY", "VERIFY",
)  # fmt: skip
AROUND_COMMIT = ("commit.intent", "committed", "terminal:COMPLETE", "queue.finished")
REJECTED, EXPIRED = "CANCELLED approval_rejected", "CANCELLED approval_expired"
LATER_S = 700  # past the expiry of a request
AGAIN = Boot()


@pytest.fixture(scope="module")
def fast_folder() -> Iterator[Path]:
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(dir=MEMORY if usable else None, prefix="ouro-kill-") as folder:
        yield Path(os.path.realpath(folder))


def play(folder: Path, orders: Orders) -> dict[str, Result]:
    """The results of all rounds by name; rounds with faults fail the test that asked for them."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        done = subprocess.run(
            [sys.executable, "-m", "tests.e2e.kill_rounds", own, orders.model_dump_json()],
            cwd=ROOT, capture_output=True, text=True, timeout=1_800, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = TypeAdapter(list[Result]).validate_json(done.stdout)
    faults = [f"{result.name}: {fault}" for result in results for fault in result.faults]
    assert not faults, "\n".join([*faults, done.stderr[-4_000:]])
    return {result.name: result for result in results}


def at(when: str, event: str, **more: object) -> Boot:
    """A boot that dies there."""
    return Boot.model_validate({"when": when, "event": event, **more})


def dies(when: str, event: str, *after: Boot, **more: object) -> Round:
    """A round that dies once; then a boot that works off the queue, or those that are given."""
    return Round.model_validate({"name": f"{when} {event}", "boots": [at(when, event), *(after or (AGAIN,))], **more})


# --- the quick set ----------------------------------------------------------------------------------------------------


def test_killed_as_each_phase_begins(fast_folder: Path) -> None:
    play(fast_folder, Orders(rounds=[dies("after", f"phase.entered:{phase}") for phase in PHASES]))


def test_killed_around_the_commit_and_between_effects(fast_folder: Path) -> None:
    around = [dies("before", "committed"), *(dies("after", event) for event in AROUND_COMMIT)]
    results = play(fast_folder, Orders(rounds=around, every_effect=4))
    effects = results["control"].boots[0].effects
    assert effects > 30 and f"effect {(effects - 1) // 4 * 4 + 1}" in results
    repaired_in = {name: next(n for n, boot in enumerate(r.boots) if not boot.died) for name, r in results.items()}
    assert repaired_in["control"] == 0 and all(n == 1 for name, n in repaired_in.items() if name != "control")


def test_killed_while_it_recovers(fast_folder: Path) -> None:
    applied, committed = Boot(when="effect", at=20), at("before", "committed")
    rounds = [
        Round(name="taking back", boots=[applied, Boot(when="effect", at=5), AGAIN]),
        Round(name="taken back, not yet said", boots=[applied, at("before", "terminal:POSTMORTEM"), AGAIN]),
        Round(name="said, not yet queued", boots=[applied, at("after", "terminal:POSTMORTEM"), AGAIN]),
        Round(name="finishing", boots=[committed, at("before", "terminal:COMPLETE"), AGAIN]),
    ]
    play(fast_folder, Orders(rounds=rounds))


def test_killed_while_tests_run(fast_folder: Path) -> None:
    running = at("after", "phase.entered:GENERATE", quick=False, sign=f"memory/*/*/tree/{RUNNING}")
    results = play(fast_folder, Orders(rounds=[Round(name="running", boots=[running, AGAIN])], slow=True))
    assert results["running"].boots[0].adopted  # it did leave children, and they ended long before the tests would have


def test_killed_when_the_branch_has_moved_on_and_in_an_undo(fast_folder: Path) -> None:
    play(fast_folder, Orders(rounds=[*overtaken("committed"), undone(at("before", "undone", errand="undo"))]))


def test_killed_while_it_waits_for_a_person(fast_folder: Path) -> None:
    parked, approve = at("after", "queue.parked", errand="park"), Boot(errand="approve")
    rounds = [
        Round(name="parked", boots=[parked, Boot(errand="parked_again"), approve]),
        Round(
            name="asked", boots=[at("after", "approval.requested", errand="park"), Boot(errand="parked_again"), approve]
        ),
        Round(name="expires", boots=[parked, Boot(errand="expire", shift_s=LATER_S)], ended=EXPIRED),
        Round(name="approved", boots=[at("after", "approval.approved", errand="approve"), approve]),
        Round(name="rejected", boots=[at("after", "approval.rejected", errand="reject"), AGAIN], ended=REJECTED),
    ]
    play(fast_folder, Orders(rounds=rounds, orange=True))


# --- every point ------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_killed_between_any_two_effects(fast_folder: Path) -> None:
    results = play(fast_folder, Orders(every_effect=1))
    assert len(results) == 1 + results["control"].boots[0].effects


@pytest.mark.long
def test_killed_before_and_after_any_write(fast_folder: Path) -> None:
    results = play(fast_folder, Orders(every_write=1))
    assert len(results) == 1 + 2 * results["control"].boots[0].writes


@pytest.mark.long
@pytest.mark.parametrize("first", [6, 17, 20, 34, 36])
def test_killed_at_any_point_of_the_recovery(fast_folder: Path, first: int) -> None:
    cut = Boot(when="effect", at=first)
    points = [("effect", n) for n in range(1, 13)] + [(when, n) for when in ("before", "after") for n in range(2, 7)]
    rounds = [Round(name=f"{when} {n}", boots=[cut, Boot(when=when, at=n, may_live=True), AGAIN]) for when, n in points]
    play(fast_folder, Orders(rounds=rounds))


@pytest.mark.long
def test_killed_at_any_answer(fast_folder: Path) -> None:
    rounds = []
    for when in ("before", "after"):
        parked = [at(when, event, errand="park") for event in ("approval.requested", "queue.parked")]
        rounds += [answered(boot, Boot(errand="parked_again"), Boot(errand="approve")) for boot in parked]
        for event in ("approval.approved", "queue.unparked", "phase.entered:APPLY"):
            rounds.append(answered(at(when, event, errand="approve"), Boot(errand="approve")))
        rounds.append(answered(at(when, "committed", errand="approve"), AGAIN))
        for answer, ended, shift in (("reject", REJECTED, 0), ("expire", EXPIRED, LATER_S)):
            said = f"approval.{ended.rpartition('_')[2]}"
            for event in (said, "terminal:CANCELLED", "queue.finished"):
                heard = (when, event) != ("before", said)
                again = Boot(errand="queue" if heard else answer, shift_s=shift)
                dying = at(when, event, errand=answer, shift_s=shift)
                rounds.append(answered(Boot(errand="park"), dying, again, ended=ended))
    play(fast_folder, Orders(rounds=rounds, orange=True))


def answered(*boots: Boot, ended: str = "COMPLETE none") -> Round:
    """A round named after the boot that dies."""
    dying = next(boot for boot in boots if boot.when)
    return Round(name=f"{dying.errand}: {dying.when} {dying.event}", boots=list(boots), ended=ended)


@pytest.mark.long
def test_killed_on_the_way_to_a_review_branch(fast_folder: Path) -> None:
    rounds = [
        dies(when, event, review=True, item="awaiting_merge")
        for when in ("before", "after")
        for event in (*AROUND_COMMIT, "phase.entered:VERIFY")
    ]
    play(fast_folder, Orders(rounds=rounds, mode="review"))
    play(fast_folder, Orders(rounds=overtaken(*AROUND_COMMIT, effects=range(28, 49))))


def overtaken(*events: str, effects: range = range(41, 42)) -> list[Round]:
    """The owner commits to the same file just before our ref moves: a review branch gets the work."""
    calm = Boot(overtaken=True)
    dying = [at(when, event, overtaken=True) for when in ("before", "after") for event in events]
    dying += [Boot(when="effect", at=n, overtaken=True) for n in effects]
    return [
        Round(name=f"{b.when} {b.event or b.at}", boots=[b, calm], review=True, item="awaiting_merge") for b in dying
    ]


@pytest.mark.long
def test_killed_anywhere_in_an_undo(fast_folder: Path) -> None:
    points = [at(when, event, errand="undo") for when in ("before", "after") for event in ("undo.intent", "undone")]
    points += [Boot(when="effect", at=n, errand="undo", may_live=True) for n in range(1, 46)]
    results = play(fast_folder, Orders(rounds=[undone(boot) for boot in points]))
    assert not results["effect 45"].boots[1].died


def undone(dying: Boot) -> Round:
    """A repair, then an undo that dies."""
    return Round(name=f"{dying.when} {dying.event or dying.at}", boots=[Boot(), dying, AGAIN], undo=True)


@pytest.mark.long
def test_killed_in_every_phase_with_real_test_runs(fast_folder: Path) -> None:
    dying = [at("after", f"phase.entered:{phase}", quick=False, delay_s=0.3) for phase in PHASES]
    rounds = [Round(name=boot.event, boots=[boot, Boot(quick=False)]) for boot in dying]
    play(fast_folder, Orders(rounds=rounds))


@pytest.mark.long
def test_killed_at_random_moments(fast_folder: Path) -> None:
    play(fast_folder, Orders(random=20, seed=int.from_bytes(os.urandom(4)), scanned=False))


@pytest.mark.long
def test_what_kills_the_daemon_again_and_again_is_given_up(fast_folder: Path) -> None:
    boots = [at("after", "phase.entered:GENERATE") for _ in range(3)]
    play(fast_folder, Orders(rounds=[Round(name="poison", boots=[*boots, AGAIN], ended="", item="dead")]))
