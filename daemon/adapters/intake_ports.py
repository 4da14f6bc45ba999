"""The ports of the intake router: gates 12 and 19, git, the machine, money and trust."""

from __future__ import annotations

import math

from governance.budget import Budget
from governance.grounding.claims import source_key
from governance.grounding.trust import Trust
from governance.irongate.op import g12_lock, g19_recursion
from governance.irongate.secrets.redaction import redact
from governance.verification.suppressed_tests import affects_tests
from ledger.vocabulary import Signal, Source, TestsPass, Verdict
from sensors.health.health import Health
from sensors.intake.ports import IntakePorts
from sensors.intake.pressure import Pressure
from tools.git import Git
from tools.repository import Repository


def intake_ports(*, git: Git, repository: Repository, budget: Budget, health: Health, trust: Trust) -> IntakePorts:
    """All ports of one boot's router."""

    async def head() -> str | None:
        return (await repository.head()).commit

    async def is_unchanged(before: Signal, now: Signal) -> bool:
        """Whether nothing between the commits of two signals of the same tests affects those tests."""
        old, new = before.snapshot or before.base, now.snapshot or now.base
        if not isinstance(now.closure, TestsPass):
            return False
        if (await git.call("cat-file", "-e", f"{old}^{{commit}}", ok=(0, 1, 128))).code != 0:
            return False
        return not await affects_tests(repository, new, await repository.changed_between(old, new), now.closure.ids)

    def track_record(source: Source) -> tuple[int, int]:
        tally = trust.of(source_key(source))
        return tally.hits, tally.n

    async def surroundings() -> Pressure:
        ceiling = budget.settings.per_day_usd_micro
        spent = await budget.spent_today() if ceiling else 0
        vitals = await health.look()
        return vitals.surroundings(burn_bp=spent * 10_000 // ceiling if ceiling else 0)

    return IntakePorts(
        admit=admit,
        may_release=may_release,
        branch_exists=repository.has_branch,
        head=head,
        is_unchanged=is_unchanged,
        track_record=track_record,
        surroundings=surroundings,
        committed_files=repository,
        redact=redact,
    )


def admit(signal: Signal) -> Verdict:
    """Gate 19 at intake: what our own commits have caused too deeply is parked."""
    return g19_recursion.check(g19_recursion.RecursionFacts(depth=signal.depth))


def may_release(silent_s: float, limit_s: float) -> Verdict:
    """Gate 12: a worker renews its lease while it lives, so one that was silent for longer than that is gone."""
    facts = g12_lock.LockFacts(holder_alive=False, age_s=math.ceil(silent_s), limit_s=math.floor(limit_s))
    return g12_lock.check(facts)
