"""Contract files that differ from their counterpart in another repository of this machine.

Both sides are read as committed at HEAD. Only settings of the owner name the other repository; no file of a repository
can make the daemon read another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import PurePath

from ledger.errors import OuroError
from ledger.events.sensing import ContractsAgreed
from ledger.vocabulary import Check, Evidence, Frozen, SidesAgree, Signal
from sensors.bus import Bus, Topic, fingerprint
from sensors.closure_checks import AnswerCheck, ClosurePorts
from sensors.drift import SPEC, ContractPair, CrossRepoDriftSettings
from sensors.drift.agreement import Agreement, part_of
from sensors.drift.contracts import Contract, UnreadableContract, differences, parse_contract
from sensors.ports import OtherFile
from sensors.sensor import Sensor

SCHEMA = "CREATE TABLE IF NOT EXISTS contracts_agreed (pair TEXT PRIMARY KEY, digest TEXT NOT NULL);"
UNNAMED = "unavailable: no pair of contracts is named"
NAME_ONE = "Name one: [sensors.cross_repo_drift.pairs.NAME] with here, repository and there."
TEXT_SHOWN = 8_000
SURE_BP = 8_000


class Drift(Frozen):
    """Two sides that differ."""

    name: str
    pair: ContractPair
    here: Contract
    there: Contract
    commit: str  # of the other repository
    by_op: bool = False

    @property
    def key(self) -> str:
        return fingerprint(self.name, self.pair.here, self.here.digest, self.there.digest)


class CrossRepoDrift(Sensor[CrossRepoDriftSettings]):
    """Emits contracts that differ."""

    spec = SPEC
    tables = (SCHEMA,)

    @classmethod
    def closure_checks(cls, settings: CrossRepoDriftSettings, ports: ClosurePorts) -> Mapping[type[Check], AnswerCheck]:
        agreement = Agreement(
            elsewhere=ports.elsewhere, pairs=settings.pairs, largest=settings.largest_bytes, redact=ports.redact
        )
        return {SidesAgree: agreement.answer}

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Look once, then whenever a branch of either side has moved, until cancelled."""
        quiet, most = self._settings.debounce_s, self._settings.debounce_most_s
        await self._look_after(bus, Topic.REFS_MOVED, Topic.REFS_ELSEWHERE, quiet_s=quiet, most_s=most)

    # --- a look ---

    async def _scan(self) -> tuple[Signal, ...]:
        """At both sides of each pair. Raises ``RepositoryError`` where ours cannot be looked at."""
        if not self._settings.pairs:
            return self._say(UNNAMED, problem=UNNAMED, remedy=NAME_ONE)
        if why := self._ports.unavailable():
            return self._say(f"unavailable: {why}", problem=why)
        head = await self._repository.check()
        lines, problems, signals = list[str](), list[str](), list[Signal]()
        for name, pair in self._settings.pairs.items():
            try:
                drift = await self._compare(name, pair, head)
            except (OuroError, UnreadableContract) as error:
                problems.append(f"{name}: {error}")
                continue
            if drift is None:
                lines.append(f"{name} agrees")
            elif await self._is_ours_to_follow(drift):
                lines.append(f"{name} differs")
                signals += await self._tell(head, drift)
            else:
                lines.append(f"{name} differs, and the other side has to follow")
        redact = self._ports.redact
        self._say(redact("; ".join((*problems, *lines))), problem=redact("; ".join(problems)))
        return tuple(signals)

    async def _compare(self, name: str, pair: ContractPair, head: str) -> Drift | None:
        """None when both are equivalent. Raises ``RepositoryError`` and `Unreadable`."""
        self._ports.follow(await self._ports.elsewhere.refs(pair.repository))
        there = await self._ports.elsewhere.read(pair.repository, pair.there, largest=self._settings.largest_bytes)
        here = (await self._repository.read_many(head, [pair.here])).get(pair.here)
        mine, theirs = await asyncio.to_thread(self._read, pair, here, there)
        if mine == theirs:
            await self._remember(name, mine.digest)
            return None
        return Drift(name=name, pair=pair, here=mine, there=theirs, commit=there.commit, by_op=there.by_op)

    def _read(self, pair: ContractPair, here: bytes | None, there: OtherFile) -> tuple[Contract, Contract]:
        if here is None:
            raise UnreadableContract(f"there is no {pair.here} here")
        if there.data is None:
            raise UnreadableContract(f"there is no {pair.there} in {pair.repository}")
        if len(here) > self._settings.largest_bytes:
            raise UnreadableContract(f"{pair.here} is larger than {self._settings.largest_bytes} bytes")
        return parse_contract(here, pair.here, pair.part), parse_contract(there.data, pair.there, part_of(pair))

    async def _is_ours_to_follow(self, drift: Drift) -> bool:
        """With ``either``, unless only ours has changed since they agreed."""
        if drift.pair.leads != "either":
            return drift.pair.leads == "there"
        return await self._agreed(drift.name) != drift.there.digest

    async def _tell(self, head: str, drift: Drift) -> tuple[Signal, ...]:
        if (
            await self._memory.filter_emitted([drift.key])
            or await self._memory.count_recent() >= self._settings.per_day
        ):
            return ()
        signal = self._signal(head, drift)
        await self._send(signal, drift.key)
        return (signal,)

    def _signal(self, head: str, drift: Drift) -> Signal:
        pair = drift.pair
        part = f" in its part {pair.part}" if pair.part else ""
        other = f"{pair.there} of the repository {PurePath(pair.repository).name!r}"
        return self._new_signal(
            goal=f"Let {pair.here}{part} say what {other} says at {drift.commit[:12]}.",
            targets=(pair.here,),
            confidence_bp=SURE_BP,
            evidence=(
                _said("The two differ", "\n".join(differences(drift.here, drift.there))),
                _said("The other side says", self._ports.redact(drift.there.readable)[:TEXT_SHOWN]),
            ),
            key=fingerprint(self.source.value, drift.key),
            closure=SidesAgree(pair=drift.name, path=pair.here),
            base=head,
            depth=int(drift.by_op),
        )

    # --- what both said when they agreed last ---

    async def _agreed(self, name: str) -> str:
        await self._ledger.ensure(SCHEMA)
        rows = await self._ledger.query("SELECT digest FROM contracts_agreed WHERE pair = ?", (name,))
        return str(rows[0][0]) if rows else ""

    async def _remember(self, name: str, digest: str) -> None:
        if await self._agreed(name) == digest:
            return
        agreed = ContractsAgreed(sensor=self.source.value, pair=name, digest=digest)
        keep = ("INSERT OR REPLACE INTO contracts_agreed VALUES (?, ?)", (name, digest))
        await self._ledger.append(agreed.draft(), project=[keep])


def _said(claim: str, text: str) -> Evidence:
    return Evidence(claim=claim, evidence=text, confidence_bp=SURE_BP, source="contract of another repository")
