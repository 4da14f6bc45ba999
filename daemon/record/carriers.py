"""Commits that carry the daemon's trailers: found among all that the repository has, and read without trust.

Their author is decided by the signature; a branch, a name or a trailer proves nothing. Names are compared without
regard to case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from governance.changes import commit_object
from governance.changes.signing import GIT_NAMESPACE, Keyring
from governance.changes.trailers import LEDGER, UNDOES, head_of, said_of, trailer_problems
from ledger.errors import GitFailed
from ledger.integrity.heads import SignatureResult
from ledger.vocabulary import Frozen, Head
from tools.git import Git

OP = "Ouro-Op"
SEARCH = ("-i", "-E", "--grep=^[[:space:]]*ouro-(ledger|op|undoes)[[:space:]]*:")
"""How ``git rev-list`` finds them."""
EVERYTHING = ("--all", "--reflog")
"""All refs, review branches among them, and what a branch named before it was moved or deleted."""
AS_STORED = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": "/dev/null"}
"""Nothing in the repository's settings may put another commit in the place of one."""
PLAIN = ("-c", "core.commitGraph=false", "-c", "i18n.logOutputEncoding=UTF-8")
AT_ONCE = 500  # commits that are read by one process
LARGEST = 1 << 20  # bytes of a commit object that is looked at
PLACES = ("", "refs/", "refs/heads/", "refs/tags/", "refs/remotes/")
_REST = frozenset("~^@{:")


class Carrier(Frozen):
    """One commit with trailers of ours. ``problems`` is empty when its claims hold; ``head``: the one it names."""

    commit: str
    standing: SignatureResult
    signer: str = ""
    why: str = ""  # the signature does not hold
    head: Head | None = None
    op: str = ""
    problems: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        return f"commit {self.commit[:12]}"


async def carriers(git: Git, ring: Keyring, revisions: tuple[str, ...]) -> tuple[Carrier, ...]:
    """Those among ``revisions`` (as ``git rev-list`` takes them), newest first. Raises ``GitFailed``."""
    listed = await git.call(*PLAIN, "rev-list", *SEARCH, *revisions, extra_env=AS_STORED)
    names = listed.text.split()
    found: list[Carrier] = []
    for at in range(0, len(names), AT_ONCE):
        asked = "".join(f"{name}\n" for name in names[at : at + AT_ONCE]).encode()
        told = await git.call(*PLAIN, "cat-file", "--batch", stdin=asked, extra_env=AS_STORED)
        found += await asyncio.to_thread(_read_all, told.out, ring)
    return tuple(found)


def _read_all(out: bytes, ring: Keyring) -> list[Carrier]:
    return [read(name, data, ring) for name, data in _objects(out)]


def _objects(out: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each commit in the answer of ``cat-file --batch``."""
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        name, kind, *size = out[at:end].decode("ascii", errors="replace").split(" ")
        if not size or not size[0].isdigit():  # "NAME missing"
            at = end + 1
            continue
        data = out[end + 1 : end + 1 + int(size[0])]
        at = end + 2 + int(size[0])
        if kind == "commit":
            yield name, data


def read(commit: str, data: bytes, ring: Keyring) -> Carrier:
    """Trailers and signer of a commit object. Never raises."""
    signed, armoured, message = commit_object.take_apart(data[:LARGEST])
    found = ring.judge(armoured, signed, namespace=GIT_NAMESPACE)
    why = (found.why if armoured else "there is none") if found.standing is SignatureResult.NONE else ""
    said = said_of(message, LEDGER)
    heads = {head_of(value) for _, value in said}
    problems = [f"the signature: {why}"] if why else []
    if found.standing is SignatureResult.UNKNOWN:
        problems.append(f"the signature: it was made with another key, {found.signer}")
    problems += trailer_problems(message)
    spelled = dict.fromkeys(name for name, _ in said if name != LEDGER)
    problems += [f"the trailer {LEDGER} is spelled {name}" for name in spelled]
    if said and None in heads:
        problems.append(f"its {LEDGER} trailer names no entry")
    ops = said_of(message, OP) or said_of(message, UNDOES)
    return Carrier(
        commit=commit,
        standing=found.standing,
        signer=found.signer,
        why=why,
        head=next(iter(heads)) if len(heads) == 1 else None,
        op=ops[0][1].partition(" ")[0] if ops else "",
        problems=tuple(problems),
    )


async def revisions_of(git: Git, asked: str) -> tuple[tuple[str, ...], str]:
    """``asked`` (a commit or a range) as ``rev-list`` takes it, and what was taken for it where a name differs in case.

    Raises ``GitFailed`` where it names nothing, or several.
    """
    try:
        return await _resolve(git, asked), ""
    except GitFailed:
        taken = await _in_other_case(git, asked)
        if taken is None:
            raise
        return await _resolve(git, taken), taken


async def _resolve(git: Git, asked: str) -> tuple[str, ...]:
    """One commit is itself alone; a range is what lies in it."""
    single = () if ".." in asked else ("--no-walk",)
    await git.call("rev-list", "-n", "1", *single, "--end-of-options", asked, "--", extra_env=AS_STORED)
    return (*single, "--end-of-options", asked, "--")


async def _in_other_case(git: Git, asked: str) -> str | None:
    """``asked`` with the names of refs as they are; None where one is not there, or there are several."""
    listed = await git.call("for-each-ref", "--format=%(refname)")
    full = listed.text.split("\n")
    dots = next((dots for dots in ("...", "..") if dots in asked), "")
    ends = asked.split(dots, 1) if dots else [asked]
    found = []
    for end in ends:
        stop = next((at for at, c in enumerate(end) if c in _REST), len(end))
        name, rest = end[:stop], end[stop:]
        likely = [ref for ref in full if name and _same(ref, name)]
        if name and len(likely) != 1 and name.upper() != "HEAD":
            return None
        found.append((likely[0] if likely else name.upper()) + rest)
    return dots.join(found)


def _same(ref: str, name: str) -> bool:
    """Whether git would take ``name`` for ``ref``, but for letter case."""
    short = name.casefold()
    return ref.casefold() in {f"{place}{short}" for place in PLACES}
