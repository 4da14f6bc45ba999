"""Copies of the ledger's signed heads outside of it: in a file of the state folder, and in a git ref.

Someone who can write only the state folder cannot revert the ref; someone who can write only the repository cannot
revert the file. Both hold the same lines (`ledger.integrity.heads`), the newest ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from governance.changes.settings import ChangeSettings
from governance.changes.signing import ensure_identity, keyring
from ledger.chain import genesis
from ledger.clock import Clock, stamp
from ledger.errors import ChainBroken, ConfigError, GitFailed
from ledger.events.session import SessionEnded
from ledger.integrity.heads import (
    SignatureResult,
    SignedHead,
    message_of,
    read_file,
    read_lines,
    with_heads,
    write_file,
)
from ledger.places import Places
from ledger.store import Ledger, SqlValue
from ledger.vocabulary import Frozen, Head
from tools.git import Git

BATCH = 500  # values per query


class StoredHeads(Frozen):
    """The content of one of the two places: ``data`` is None if there is none; ``problem``: why it cannot be read."""

    place: str
    data: bytes | None = None
    problem: str = ""

    @property
    def heads(self) -> tuple[SignedHead, ...]:
        return tuple(head for _, head in read_lines(self.data or b"")[0])


class Heads:
    """Reads both places, and writes them at the end of a session."""

    def __init__(self, *, places: Places, git: Git, settings: ChangeSettings, clock: Clock) -> None:
        self._places = places
        self._clock = clock
        self._git = git
        self._settings = settings

    async def read(self) -> tuple[StoredHeads, StoredHeads]:
        """The file and the ref."""
        return await asyncio.to_thread(self._file), await asyncio.to_thread(self._ref)

    def _file(self) -> StoredHeads:
        place = str(self._places.heads)
        try:
            return StoredHeads(place=place, data=read_file(self._places.heads))
        except OSError as error:
            return StoredHeads(place=place, problem=error.strerror or str(error))

    def _ref(self) -> StoredHeads:
        name = self._places.heads_ref
        try:
            done = self._git.run("cat-file", "blob", name, ok=(0, 128))
            if done.code == 0:
                return StoredHeads(place=name, data=done.out)
            there = self._git.run("for-each-ref", "--format=%(objecttype)", name, ok=(0, 128))
        except GitFailed as error:
            return StoredHeads(place=name, problem=error.message)
        if there.code:
            return StoredHeads(place=name, problem=there.err.strip().removeprefix("fatal: ") or "git gives no reason")
        if not there.text:
            return StoredHeads(place=name)
        return StoredHeads(place=name, problem="it names no blob of the repository")

    async def end_session(self, ledger: Ledger, boot: str) -> str:
        """Write the last entry of a session, with the signed head before it; then store the new head in both places.

        Returns problems for the log. Raises ``LedgerError`` if the entry cannot be written.
        """
        before, why = await self._sign_head(ledger.head)
        signed = {"signed": before.model_dump(exclude={"genesis"})} if before else {"unsigned": why}
        (entry,) = await ledger.append(SessionEnded(boot=boot, **signed).draft())
        head, why = await self._sign_head(Head(seq=entry.seq, hash=entry.hash))
        if head is None:
            return why
        file, ref = await self.read()
        data = with_heads(file.data or b"", ref.data or b"", head.line)
        return await asyncio.to_thread(self._write_both, data)

    async def _sign_head(self, head: Head) -> tuple[SignedHead | None, str]:
        origin = genesis(self._places.repo_id)

        def sign() -> str:
            return ensure_identity(self._places, self._settings).sign_head(message_of(origin, head))

        try:
            signature = await asyncio.to_thread(sign)
        except (ConfigError, OSError) as error:
            return None, f"the head of the ledger could not be signed: {error}"
        at = stamp(self._clock.now())
        return SignedHead(at=at, genesis=origin, hash=head.hash, seq=head.seq, signature=signature), ""

    def _write_both(self, data: bytes) -> str:
        problems = []
        try:
            write_file(self._places.heads, data)
        except OSError as error:
            problems.append(f"{self._places.heads} cannot be written: {error.strerror}")
        try:
            blob = self._git.run("hash-object", "-w", "--stdin", stdin=data).text
            self._git.run("update-ref", "--no-deref", self._places.heads_ref, blob)
        except GitFailed as error:
            problems.append(f"{self._places.heads_ref} cannot be written: {error.message}")
        return "; ".join(problems)

    async def refuse_missing_head(self, ledger: Ledger, stored: Iterable[StoredHeads]) -> None:
        """At start: raise ``ChainBroken`` if the ledger lacks a signed head.

        Signatures are checked only of heads that the ledger lacks: one that it has can do no harm.
        """
        origin = genesis(self._places.repo_id)
        places = {head: each.place for each in stored for head in each.heads if head.genesis == origin}
        wanted = sorted({head.seq for head in places})
        there: dict[SqlValue, SqlValue] = {}
        for at in range(0, len(wanted), BATCH):
            some = tuple(wanted[at : at + BATCH])
            marks = ",".join("?" * len(some))
            rows = await ledger.query(f"SELECT seq, hash FROM entries WHERE seq IN ({marks})", some)
            there.update((seq, own) for seq, own in rows)
        wrong = [head for head in places if head.seq and there.get(head.seq) != head.hash]
        if not wrong:
            return
        ring, _ = await asyncio.to_thread(keyring, self._places, self._settings)
        signers = {head: ring.judge(head.signature, head.message) for head in wrong}
        ours = [head for head in wrong if signers[head].standing is SignatureResult.OURS]
        signed_heads = ours or [head for head in wrong if signers[head].standing is SignatureResult.UNKNOWN]
        if not signed_heads:
            return
        first = min(signed_heads, key=lambda head: head.seq)
        what = "holds another entry" if first.seq in there else "ends before it"
        if not ours:
            raise ChainBroken(
                "Another daemon keeps a record of this repository, or the key of this one was lost: "
                f"{places[first]} names entry {first.seq}, signed at {first.at} with {signers[first].signer}, which is "
                f"not in {self._places.keys}, and {self._places.ledger} {what}.",
                seq=first.seq,
                remedy="If it is another user's (root's, after `sudo ouro`), go on as that user. If it was yours, "
                f"restore a backup of {self._places.state}. To begin a record of your own anyway: move "
                f"{self._places.heads} away if it is there and `git update-ref -d {self._places.heads_ref}`; the other "
                "daemon is then refused in the same way.",
            )
        raise ChainBroken(
            f"The record was cut, rewritten or lost: {places[first]} names entry {first.seq}, signed at {first.at}, "
            f"and {self._places.ledger} {what}.",
            seq=first.seq,
            remedy="`ouro ledger verify` says more; restore a backup of the ledger. To continue with what is left "
            f"anyway: move {self._places.heads} away and `git update-ref -d {self._places.heads_ref}`.",
        )
